# fish completion for websock
complete -c websock -f
{{- range $c := .}}
complete -c websock -n __fish_use_subcommand -a {{.Name}} -d {{quote .Help}}
{{- range .Flags}}
complete -c websock -n '__fish_seen_subcommand_from {{$c.Name}}' -o {{.Name}} -d {{quote .Help}}
{{- if .Values}} -x -a '{{range .Values}}{{.}} {{end}}'
{{- else if eq .Value "file"}} -r -F
{{- else if .Value}} -x{{end}}{{end}}
{{- if .Files}}
complete -c websock -n '__fish_seen_subcommand_from {{.Name}}' -F
{{- end}}
{{- if .Words}}
complete -c websock -n '__fish_seen_subcommand_from {{.Name}}' -a '{{range .Words}}{{.}} {{end}}'
{{- end}}{{end}}
