import { AppError } from '../errors.ts';
import type { ObserveCall } from './http.ts';
import { NagiosCommands } from './nagios-commands.ts';
import { cleanComment } from './nagios-comment.ts';
import { formatNagiosDate, type NagiosDateFormat, unambiguous } from './nagios-date.ts';
import { NagiosHttp } from './nagios-http.ts';
import { isRecord, readJsonReply } from './nagios-reply.ts';
import { checkedData, type DowntimeList, readDowntimeList, readTimes } from './nagios-status.ts';
import { type Awaited, DowntimeWatch } from './nagios-watch.ts';

export interface NagiosOptions {
  /** Base URL of the CGIs. */
  url: string;
  username?: string | undefined;
  password?: string | undefined;
  downtimeMinutes: number;
  /** `date_format` of the server's nagios.cfg. */
  dateFormat: NagiosDateFormat;
  /** IANA name of the server's zone; this host's own unless told. */
  timezone?: string | undefined;
  /** Limit of one request, 10 s unless told: cmd.cgi hangs while the daemon is stopped. */
  timeoutMs?: number | undefined;
  /** Requests at once, 8 unless told. */
  connections?: number | undefined;
  observe?: ObserveCall | undefined;
}

export type Scheduled =
  | { outcome: 'submitted'; submittedAt: Date; start: Date; end: Date }
  | { outcome: 'unknown-host' };

/** A probe is asked by people and load balancers that wait. */
const PROBE_TIMEOUT_MS = 3_000;
/** Nagios writes its status every ten seconds unless told otherwise. */
const STATUS_TOO_OLD_MS = 120_000;

/**
 * Nagios through its CGIs: downtimes are scheduled, proved to stand, listed and cancelled.
 * Every method throws AppError: `unavailable`, `credentials`, `permission` or `rejected`.
 */
export class NagiosClient {
  readonly #options: NagiosOptions;
  readonly #timezone: string;
  readonly #http: NagiosHttp;
  readonly #probeHttp: NagiosHttp;
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
    this.#commands = new NagiosCommands(this.#http, {
      dateFormat: options.dateFormat,
      timezone: this.#timezone,
    });
    this.#watch = new DowntimeWatch(() => this.listDowntimes());
  }

  /**
   * Asks for a fixed downtime of the host and of all its services, from now on. `submitted` is no proof yet: see
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
    if (!(await this.knowsHost(host))) return { outcome: 'unknown-host' };
    throw new AppError(
      'permission',
      `Nagios does not let user ${this.#http.username ?? '(none)'} schedule downtime for ${host}: add it to authorized_for_all_host_commands and authorized_for_all_service_commands in cgi.cfg`,
    );
  }

  /** All downtimes that the user may see, in one query, as the daemon last wrote them. */
  async listDowntimes(): Promise<DowntimeList> {
    const query = { query: 'downtimelist', details: 'true' };
    return readDowntimeList(await this.#json(this.#http, 'statusjson.cgi', query));
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

  /**
   * Cancels every downtime with exactly this comment that Nagios lists (one scheduled since its last status update is not
   * listed yet); gives how many there were. One that is gone by then counts as cancelled.
   */
  async cancelDowntimes({ comment }: { comment: string }): Promise<number> {
    const wanted = cleanComment(comment);
    const { downtimes } = await this.listDowntimes();
    const found = downtimes.filter(downtime => downtime.comment === wanted);
    await Promise.all(
      found.map(async ({ id, type, host }) => {
        const command = type === 'host' ? 'deleteHostDowntime' : 'deleteServiceDowntime';
        const sent = await this.#commands.send(command, host, { down_id: String(id) });
        if (sent === 'submitted') return;
        const now = await this.listDowntimes();
        if (!now.downtimes.some(downtime => downtime.id === id)) return;
        throw new AppError(
          'permission',
          `Nagios does not let user ${this.#http.username ?? '(none)'} cancel downtime ${id} of ${host}`,
        );
      }),
    );
    return found.length;
  }

  /** Resolves when Nagios lets the user in and its daemon is at work; answers or throws within seconds. */
  async probe(): Promise<void> {
    const json = await this.#json(this.#probeHttp, 'statusjson.cgi', { query: 'programstatus' });
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

  /** Whether Nagios shows us a host of this name. */
  async knowsHost(host: string): Promise<boolean> {
    const json = await this.#json(this.#http, 'objectjson.cgi', { query: 'host', hostname: host });
    const result = isRecord(json['result']) ? json['result'] : {};
    return !/could not be found/i.test(String(result['message'] ?? ''));
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

  async #json(
    http: NagiosHttp,
    cgi: string,
    query: Record<string, string>,
  ): Promise<Record<string, unknown>> {
    return readJsonReply((await http.request({ cgi, query })).text, cgi);
  }
}
