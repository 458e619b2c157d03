# bash completion for ocp-watch

_ocp_watch_sessions() {
  # Only a daemon that runs is asked: a completion starts nothing.
  ocp-watch status >/dev/null 2>&1 || return
  ocp-watch sessions 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_ocp_watch() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} words i
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    words='record build explain why affected report sessions follow rm stats gc verify clear status start stop doctor version help'
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    return
  fi
  case $command in
    record | build)
      for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
          --name | --calls) ((i++)) ;;
          --) ((i++)); break ;;
          -*) ;;
          *) break ;;
        esac
      done
      if ((i < COMP_CWORD)) || [[ $previous == -- ]]; then
        if declare -F _command_offset >/dev/null; then
          _command_offset "$i"
        else
          COMPREPLY=($(compgen -f -- "$current"))
        fi
        return
      fi
      case $previous in
        --name) return ;;
        --calls) COMPREPLY=($(compgen -f -- "$current")); return ;;
      esac
      if [[ $current == -* ]]; then
        words='--name --calls --help'
        [[ $command == build ]] && words='--name --dry-run --explain --help'
      else
        COMPREPLY=($(compgen -c -- "$current"))
        return
      fi
      ;;
    report)
      case $previous in
        --format) words='text json jsonl compile-commands chrome-trace dot' ;;
        --under | --file) COMPREPLY=($(compgen -f -- "$current")); return ;;
        --glob | --command | --limit) return ;;
        *)
          if [[ $current == -* ]]; then
            words='--file --under --glob --reads --writes --missing --failed --command --limit --format --json --help'
          else
            words="summary tree commands files events $(_ocp_watch_sessions)"
            COMPREPLY=($(compgen -f -X '!*.ocplog' -- "$current"))
          fi
          ;;
      esac
      ;;
    explain)
      [[ $previous == --command ]] && return
      words="--command --ran --json --help $(_ocp_watch_sessions)"
      ;;
    why | affected)
      if [[ $current == -* ]]; then
        words='--json --help'
      else
        COMPREPLY=($(compgen -f -- "$current"))
        return
      fi
      ;;
    stats | verify) words='--json --help' ;;
    gc)
      case $previous in
        --max-size) words='1G 5G 20G' ;;
        --max-age) words='7d 30d 8w' ;;
        *) words='--max-size --max-age --dry-run --json --help' ;;
      esac
      ;;
    clear) words='--yes --json --help' ;;
    sessions) words='--running --json --help' ;;
    follow) words="--events --from-start --json --help $(_ocp_watch_sessions)" ;;
    rm)
      if [[ $previous == --older-than ]]; then
        words='1d 7d 30d'
      else
        words="--finished --older-than --json --help $(_ocp_watch_sessions)"
      fi
      ;;
    status) words='--json --help' ;;
    stop) words='--drain --help' ;;
    help) words='record build explain why affected report sessions follow rm stats gc verify clear status start stop doctor version' ;;
    *) words='--help' ;;
  esac
  COMPREPLY+=($(compgen -W "$words" -- "$current"))
}

complete -o filenames -F _ocp_watch ocp-watch
