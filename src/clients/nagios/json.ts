import { AppError } from '../../domain/errors.ts';
import type { HttpResponse } from '../http/request.ts';
import type { NagiosHttp } from './http.ts';
import { isCommandForm, readJsonReply } from './reply.ts';

/** Asks the JSON CGIs, and tells a Nagios that has none from one that cannot be reached. */
export class NagiosJson {
  readonly #http: NagiosHttp;

  constructor(http: NagiosHttp) {
    this.#http = http;
  }

  /**
   * @throws AppError `unsupported` if Nagios takes commands but has not got this CGI, and whatever NagiosHttp and
   * readJsonReply throw
   */
  async query(
    cgi: 'statusjson.cgi' | 'objectjson.cgi',
    query: Record<string, string>,
  ): Promise<Record<string, unknown>> {
    const request = { cgi, query };
    const response = await this.#http.ask(request);
    try {
      return readJsonReply(this.#http.accept(request, response).text, cgi);
    } catch (error) {
      if (!isPage(response) || !(await this.#takesCommands())) throw error;
      const answer = response.status === 200 ? 'with a web page' : response.status;
      throw new AppError(
        'unsupported',
        `Nagios at ${this.#http.url} takes commands, but answers ${answer} for ${cgi}, so it can be asked for a downtime but cannot show that one stands. Nagios Core has statusjson.cgi and objectjson.cgi since 4.0.7, Icinga 1 has neither: upgrade Nagios, or have the web server serve both to user ${this.#http.username ?? '(none)'}`,
      );
    }
  }

  async #takesCommands(): Promise<boolean> {
    const { status, text } = await this.#http.ask({ cgi: 'cmd.cgi', query: { cmd_typ: '55' } });
    return status === 200 && isCommandForm(text);
  }
}

/** Whether a web server answered, and no JSON CGI: one whose daemon is stopped answers nothing at all. */
function isPage({ status, text }: HttpResponse): boolean {
  return status !== 200 || text.trimStart().startsWith('<');
}
