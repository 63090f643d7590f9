import { AppError, describe } from '../../domain/errors.ts';
import type { ObserveCall } from '../http/request.ts';
import { NagiosCommands } from './commands.ts';
import { cleanComment } from './comment.ts';
import { formatNagiosDate, type NagiosDateFormat, unambiguous } from './date.ts';
import { type NagiosHost, NagiosHosts } from './hosts.ts';
import { NagiosHttp } from './http.ts';
import { NagiosJson } from './json.ts';
import { checkedData, type DowntimeList, readDowntimeList, readTimes } from './status.ts';
import { type Awaited, DowntimeWatch, showsWorkOf } from './watch.ts';

export interface NagiosOptions {
  /** Base URL of the CGIs. */
  url: string;
  username?: string | undefined;
  password?: string | undefined;
  downtimeMinutes: number;
  /** `date_format` of the server's nagios.cfg. */
  dateFormat: NagiosDateFormat;
  /** IANA name of the server's zone. @default this host's own */
  timezone?: string | undefined;
  /** Limit of one request, 10 s by default: cmd.cgi hangs while the daemon is stopped. */
  timeoutMs?: number | undefined;
  /** Requests at once. @default 8 */
  connections?: number | undefined;
  observe?: ObserveCall | undefined;
}

export type Scheduled =
  | { outcome: 'submitted'; submittedAt: Date; start: Date; end: Date }
  | { outcome: 'unknown-host' }
  /** Either, of a server that cannot tell which: no such host, or the user may not command it. */
  | { outcome: 'refused' };

/** A probe is asked by people and load balancers that wait. */
const PROBE_TIMEOUT_MS = 3_000;
/** Nagios writes its status every ten seconds by default. */
const STATUS_TOO_OLD_MS = 120_000;

/**
 * Nagios through its CGIs: hosts are found by name; downtimes are scheduled, proved to stand, listed and cancelled.
 * Every method throws AppError: `unavailable`, `credentials`, `permission`, `rejected`, or `unsupported` for what a Nagios
 * without JSON CGIs (Nagios Core before 4.0.7, Icinga 1) cannot show.
 */
export class NagiosClient {
  readonly #options: NagiosOptions;
  readonly #timezone: string;
  readonly #http: NagiosHttp;
  readonly #probeHttp: NagiosHttp;
  readonly #json: NagiosJson;
  readonly #hosts: NagiosHosts;
  readonly #commands: NagiosCommands;
  readonly #watch: DowntimeWatch;

  constructor(options: NagiosOptions) {
    this.#options = options;
    this.#timezone = options.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
    const timeoutMs = options.timeoutMs ?? 10_000;
    const { url, username, password, observe, connections = 8 } = options;
    const access = { url, username, password, observe };
    this.#http = new NagiosHttp({ ...access, timeoutMs, connections, attempts: 2 });
    this.#probeHttp = new NagiosHttp({
      ...access,
      timeoutMs: Math.min(timeoutMs, PROBE_TIMEOUT_MS),
      connections: 1,
      attempts: 1,
    });
    this.#json = new NagiosJson(this.#http);
    this.#hosts = new NagiosHosts(this.#http, this.#json);
    this.#commands = new NagiosCommands(this.#http, {
      dateFormat: options.dateFormat,
      timezone: this.#timezone,
    });
    this.#watch = new DowntimeWatch(() => this.listDowntimes());
  }

  /**
   * Asks for a fixed downtime of the host and of all its services, from now on. `submitted` is not a proof yet: see
   * `awaitDowntime`. The services come first, so that a status that shows the host's downtime shows theirs too. Done
   * twice it makes two; `hostOnly` completes one that got no further than the services.
   */
  async scheduleDowntime(request: { host: string; comment: string; hostOnly?: boolean }): Promise<Scheduled> {
    const { host } = request;
    const now = new Date();
    const { dateFormat, downtimeMinutes } = this.#options;
    const start = unambiguous(now, -1, dateFormat, this.#timezone);
    const end = unambiguous(
      new Date(now.getTime() + downtimeMinutes * 60_000),
      1,
      dateFormat,
      this.#timezone,
    );
    const fields = {
      host,
      com_data: cleanComment(request.comment),
      // Wanted where cgi.cfg has lock_author_names=0; else Nagios takes the user who logged in.
      com_author: cleanComment(this.#http.username ?? 'chef-deregistration'),
      trigger: '0',
      fixed: '1',
      hours: String(Math.floor(downtimeMinutes / 60)),
      minutes: String(downtimeMinutes % 60),
      start_time: formatNagiosDate(start, dateFormat, this.#timezone),
      end_time: formatNagiosDate(end, dateFormat, this.#timezone),
    };
    const services =
      request.hostOnly || (await this.#commands.send('scheduleHostServicesDowntime', host, fields));
    const sent =
      services === 'not-authorized'
        ? services
        : await this.#commands.send('scheduleHostDowntime', host, { ...fields, childoptions: '0' });
    if (sent === 'submitted') return { outcome: 'submitted', submittedAt: new Date(), start, end };
    const known = await this.#mayKnow(host);
    if (known !== 'yes') return { outcome: known === 'no' ? 'unknown-host' : 'refused' };
    throw new AppError(
      'permission',
      `Nagios does not let user ${this.#http.username ?? '(none)'} schedule downtime for ${host}: add it to authorized_for_all_host_commands and authorized_for_all_service_commands in cgi.cfg`,
    );
  }

  /** All downtimes that the user may see, in one query, as the daemon last wrote them. */
  async listDowntimes(): Promise<DowntimeList> {
    const query = { query: 'downtimelist', details: 'true' };
    return readDowntimeList(await this.#json.query('statusjson.cgi', query));
  }

  /**
   * Resolves when Nagios lists the host's downtime with this comment; however many wait, Nagios is asked once a second.
   * @throws AppError `rejected` where a later status shows none, `unavailable` where none came within `timeoutMs`
   */
  async awaitDowntime(awaited: Awaited, { timeoutMs }: { timeoutMs: number }): Promise<void> {
    await this.#proved(awaited, cleaned => this.#watch.wait(cleaned, timeoutMs));
  }

  /**
   * Whether Nagios lists already what awaitDowntime waits for.
   * @throws AppError `rejected` where a later status shows none, `unavailable` where Nagios does not answer
   */
  showsDowntime(awaited: Awaited): Promise<boolean> {
    return this.#proved(awaited, async cleaned => (await this.#watch.look(cleaned)) === undefined);
  }

  /** Resolves if Nagios can show which downtimes stand. */
  async canShowDowntimes(): Promise<void> {
    await this.#watch.list();
  }

  /**
   * Cancels every downtime with exactly this comment that Nagios lists. One that is gone by then counts as cancelled.
   * @param submittedAt if given, when the last command with this comment may have been submitted: it looks again until
   * the list surely shows what became of that, for `timeoutMs` at most. Nagios shows a downtime only at its next status update
   * @returns how many there were
   * @throws AppError `unavailable` if no list shows it in time; what was listed until then is cancelled
   */
  async cancelDowntimes({
    comment,
    submittedAt,
    timeoutMs = 0,
  }: {
    comment: string;
    submittedAt?: Date | undefined;
    timeoutMs?: number | undefined;
  }): Promise<number> {
    const wanted = cleanComment(comment);
    const cancelled = new Set<number>();
    const look = async (): Promise<boolean> => {
      const listed = submittedAt && (await this.#watch.list());
      const { downtimes } = listed?.list ?? (await this.listDowntimes());
      const found = downtimes.filter(each => each.comment === wanted && !cancelled.has(each.id));
      await Promise.all(
        found.map(async downtime => {
          await this.#cancel(downtime);
          cancelled.add(downtime.id);
        }),
      );
      return !listed || showsWorkOf(listed, submittedAt);
    };
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const missing = await look().then(
        done => (done ? undefined : 'its status was not written since; is its daemon running?'),
        (error: unknown) => {
          if (submittedAt && error instanceof AppError && error.code === 'unavailable')
            return describe(error);
          throw error;
        },
      );
      if (missing === undefined) return cancelled.size;
      if (Date.now() >= deadline || !(await this.#watch.pause())) {
        throw new AppError(
          'unavailable',
          `Nagios has not shown since ${submittedAt?.toISOString()} whether there are downtimes to cancel: ${missing}`,
        );
      }
    }
  }

  async #cancel({ id, type, host }: DowntimeList['downtimes'][number]): Promise<void> {
    const command = type === 'host' ? 'deleteHostDowntime' : 'deleteServiceDowntime';
    const sent = await this.#commands.send(command, host, { down_id: String(id) });
    if (sent === 'submitted') return;
    const now = await this.listDowntimes();
    if (!now.downtimes.some(downtime => downtime.id === id)) return;
    throw new AppError(
      'permission',
      `Nagios does not let user ${this.#http.username ?? '(none)'} cancel downtime ${id} of ${host}`,
    );
  }

  /** Resolves when Nagios lets the user in and its daemon is at work; answers or throws within seconds. */
  async probe(): Promise<void> {
    const json = await new NagiosJson(this.#probeHttp).query('statusjson.cgi', { query: 'programstatus' });
    checkedData(json, 'programstatus');
    const { lastUpdate, queryTime } = readTimes(json);
    const ageMs = queryTime.getTime() - lastUpdate.getTime();
    if (ageMs > STATUS_TOO_OLD_MS) {
      throw new AppError(
        'unavailable',
        `Nagios last wrote its status ${Math.round(ageMs / 1000)} s ago: is its daemon running?`,
      );
    }
  }

  async close(): Promise<void> {
    this.#watch.close();
    await Promise.all([this.#http.close(), this.#probeHttp.close()]);
  }

  /**
   * The hosts whose name differs from this at most in case, as Nagios spells them; an exact match comes alone. A list serves
   * for ten seconds.
   */
  hostsNamed(name: string): Promise<string[]> {
    return this.#hosts.named(name);
  }

  /** What Nagios has configured for the host of exactly this name; undefined if it shows the user none. */
  showHost(name: string): Promise<NagiosHost | undefined> {
    return this.#hosts.show(name);
  }

  async #mayKnow(host: string): Promise<'yes' | 'no' | 'unclear'> {
    try {
      return (await this.#hosts.show(host)) ? 'yes' : 'no';
    } catch (error) {
      if (error instanceof AppError && error.code === 'unsupported') return 'unclear';
      throw error;
    }
  }

  async #proved<T>(awaited: Awaited, prove: (cleaned: Awaited) => Promise<T>): Promise<T> {
    try {
      return await prove({ ...awaited, comment: cleanComment(awaited.comment) });
    } catch (error) {
      // The next attempt looks at Nagios's clock again, and can say what to change.
      if (error instanceof AppError && error.code === 'rejected') this.#commands.forgetForm();
      throw error;
    }
  }
}
