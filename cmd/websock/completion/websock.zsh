#compdef websock
# zsh completion for websock
_websock() {
	local -a commands=(
{{- range .}}
		{{quote (printf "%s:%s" .Name (plain .Help))}}
{{- end}}
	)
	if ((CURRENT == 2)); then
		_describe command commands
		return
	fi
	local command=$words[2]
	shift words
	((CURRENT--))
	case $command in
{{- range .}}
	{{.Name}})
		_arguments{{range .Flags}} \
			{{if .Repeatable}}'*'{{end}}{{quote (printf "-%s[%s]" .Name (plain .Help))}}
			{{- if .Values}}':{{.Value}}:({{range .Values}}{{.}} {{end}})'
			{{- else if eq .Value "file"}}:file:_files
			{{- else if .Value}}{{quote (printf ":%s:" (plain .Value))}}{{end}}{{end}}
			{{- if .Files}} \
			'*:file:_files'{{end}}
			{{- if .Words}} \
			':what:({{range .Words}}{{.}} {{end}})'{{end}}
		;;
{{- end}}
	esac
}
if [[ $funcstack[1] == _websock ]]; then
	_websock "$@"
else
	compdef _websock websock
fi
