# bash completion for websock
_websock() {
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=
	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		COMPREPLY=($(compgen -W '{{range .}}{{.Name}} {{end}}' -- "$word"))
		return
	fi
	case ${COMP_WORDS[1]}/${before/#--/-} in
{{- range $c := .}}{{range .Flags}}{{if .Values}}
	{{$c.Name}}/-{{.Name}}) words='{{range .Values}}{{.}} {{end}}' ;;
{{- else if eq .Value "file"}}
	{{$c.Name}}/-{{.Name}}) compopt -o default; return ;;
{{- else if .Value}}
	{{$c.Name}}/-{{.Name}}) return ;;
{{- end}}{{end}}
	{{.Name}}/*)
{{- if .Files}} [[ $word == -* ]] || { compopt -o default; return; };{{end}} words='{{range .Flags}}-{{.Name}} {{end}}{{range .Words}}{{.}} {{end}}' ;;
{{- end}}
	esac
	COMPREPLY=($(compgen -W "$words" -- "${word/#--/-}"))
}
complete -F _websock websock
