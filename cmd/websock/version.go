package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/peterbourgon/ff/v3/ffcli"
)

func versionCommand(streams stdio) *ffcli.Command {
	return &ffcli.Command{
		Name:       "version",
		ShortUsage: "websock version",
		ShortHelp:  "print the version",
		FlagSet:    streams.flagSet("version"),
		Exec: func(_ context.Context, args []string) error {
			if len(args) > 0 {
				return streams.misused("version takes no arguments, but there is %q", args[0])
			}
			_, err := fmt.Fprintf(streams.out, "websock %s %s %s/%s\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// version returns the module's version, as the build knows it.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(unknown)"
}
