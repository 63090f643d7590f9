import { COMMANDS, type CommandName, optionsOf } from './command-table.ts';

/** A bash script: commands, their options, and the words that an option takes. */
export function bashCompletion(): string {
  const names = Object.keys(COMMANDS) as CommandName[];
  const cases = names.map(
    name =>
      `    ${name}) words="${Object.keys(optionsOf(name))
        .map(option => `--${option}`)
        .join(' ')}" ;;`,
  );
  const takes = new Map(
    names.flatMap(name =>
      Object.entries(optionsOf(name)).flatMap(([option, { values, isPath }]): [string, string][] => {
        if (values) return [[option, `-W "${values.join(' ')}"`]];
        return isPath ? [[option, '-f']] : [];
      }),
    ),
  );
  const lists = [...takes].map(
    ([option, kind]) => `    --${option}) COMPREPLY=($(compgen ${kind} -- "$word")); return ;;`,
  );
  return `_chef_deregistration_manager() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" command="" words="" each
  for each in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$each" in ${names.join('|')}) command="$each"; break ;; esac
  done
  case "$before" in
${lists.join('\n')}
  esac
  case "$command" in
    '') words="${names.join(' ')} --help" ;;
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _chef_deregistration_manager chef-deregistration-manager
`;
}
