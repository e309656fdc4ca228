# What the Makefiles of programs in other languages have in common. BIN is where programs go.

.DEFAULT_GOAL := all # and not the first target here

# $(call needs,TOOL,WHAT) begins the recipe for WHAT, which is left out where TOOL is missing. The rest of the recipe,
# up to `; fi`, is on the same logical line.
needs = if ! command -v $(1) >/dev/null; then echo "left out: $(2), which needs $(1)"; else

# $(call script,NAME,COMMAND) makes a program that runs COMMAND, whose process it becomes.
script = printf '\#!/bin/sh\nexec %s "$$@"\n' "$(2)" >$(BIN)/$(1) && chmod +x $(BIN)/$(1)

# $(call needs-header,HEADER,WHAT) is needs for the headers of a library.
needs-header = if ! echo '\#include <$(1)>' | $(CXX) -E -x c++ - >/dev/null 2>&1; then echo "left out: $(2), which needs $(1)"; else

$(BIN):
	mkdir -p $@
