import { AppError } from '../../domain/errors.ts';
import { clockMistake, type NagiosClock } from './clock.ts';
import type { NagiosHttp } from './http.ts';
import { type CommandForm, type CommandReply, readCommandForm, readCommandReply } from './reply.ts';

/** External commands by their number in cmd.cgi. Source: include/common.h of Nagios Core 4. */
export const COMMANDS = {
  scheduleHostDowntime: '55',
  scheduleHostServicesDowntime: '86',
  deleteHostDowntime: '78',
  deleteServiceDowntime: '79',
} as const;

/** Sends commands through cmd.cgi's form: Nagios wants the form's id back, as field and as cookie, and it serves many times. */
export class NagiosCommands {
  readonly #http: NagiosHttp;
  readonly #clock: NagiosClock;
  #form: Promise<CommandForm> | undefined;

  constructor(http: NagiosHttp, clock: NagiosClock) {
    this.#http = http;
    this.#clock = clock;
  }

  /** Makes the next command fetch the form again, and with it look at Nagios's clock again. */
  forgetForm(): void {
    this.#form = undefined;
  }

  /**
   * @param subject what the command is about, for messages: a host
   * @throws AppError `rejected` with the page's own words, and whatever NagiosHttp throws
   */
  async send(
    command: keyof typeof COMMANDS,
    subject: string,
    fields: Record<string, string>,
  ): Promise<Exclude<CommandReply['kind'], 'refused' | 'form-refused'>> {
    let reply = await this.#commit(command, fields);
    if (reply.kind === 'form-refused') {
      this.forgetForm();
      reply = await this.#commit(command, fields);
    }
    if (reply.kind === 'refused' || reply.kind === 'form-refused') {
      this.forgetForm();
      throw new AppError('rejected', `Nagios did not take ${command} for ${subject}: ${reply.words}`);
    }
    return reply.kind;
  }

  async #commit(command: keyof typeof COMMANDS, fields: Record<string, string>): Promise<CommandReply> {
    this.#form ??= this.#fetchForm();
    const form = await this.#form.catch((error: unknown) => {
      this.forgetForm();
      throw error;
    });
    const response = await this.#http.request({
      cgi: 'cmd.cgi',
      cookie: form.cookie,
      form: {
        cmd_typ: COMMANDS[command],
        cmd_mod: '2',
        ...(form.formId ? { nagFormId: form.formId } : {}),
        ...fields,
      },
    });
    return readCommandReply(response.text);
  }

  /** @throws AppError `rejected` where the form shows that Nagios would read our dates otherwise */
  async #fetchForm(): Promise<CommandForm> {
    const query = { cmd_typ: COMMANDS.scheduleHostDowntime };
    const { headers, text } = await this.#http.request({ cgi: 'cmd.cgi', query });
    const form = readCommandForm(text, headers['set-cookie']);
    const served = typeof headers['date'] === 'string' ? new Date(headers['date']) : new Date();
    const mistake =
      form.startTime === undefined ? undefined : clockMistake(form.startTime, served, this.#clock);
    if (mistake) throw new AppError('rejected', `Nagios would read other times than meant. ${mistake}`);
    return form;
  }
}
