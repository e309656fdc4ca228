package tree

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// arrows has the rooms of the house, named by the folders in them, and for each the rooms
// that it stands on: a package imports those, and those that they stand on. Packages of one
// room don't import each other, unless it names itself. An internal room is imported only by
// those that name it. Internal packages that are no room are open to all, but what they import
// counts as their importer's.
var arrows = map[string][]string{
	"mask":                    {},
	"transport":               {},
	"engine":                  {"mask"},
	"internal/ring":           {},
	"transport/*":             {"transport", "mask", "internal/ring"},
	"transport/h3":            {"transport/std", "transport/h2", "transport"},
	"internal/handshake":      {"engine"},
	"internal/httpserver":     {"transport/h2"},
	"":                        {"internal/handshake", "internal/httpserver", "transport/h2", "transport/std", "transport/tls", "transport"},
	"transport/transporttest": {""},
	"fanout":                  {""},
	"fanout/prom":             {"fanout"},
	"fanout/cluster":          {"fanout"},
	"fanout/cluster/prom":     {"fanout/cluster"},
	"compat/*":                {""},
	"fuzz":                    {""},
	"examples/*":              {"fanout", "transport/*", "examples/*"},
	"cmd/*":                   {"fanout/cluster", "fanout/cluster/prom", "fanout", "transport/*", "cmd/*"},
	"bench/*":                 {"fanout", "transport/*", "bench/*"},
	"interop/*":               {"fanout/cluster", "fanout", "transport/*", "interop/*"},
}

// roomOf returns the room that a folder is in: its own or, else, that of all below a folder.
func roomOf(dir string) (room string, ok bool) {
	if _, ok := arrows[dir]; ok {
		return dir, true
	}
	for above := dir; above != "."; above = path.Dir(above) {
		if _, ok := arrows[above+"/*"]; ok {
			return above + "/*", true
		}
	}
	return "", false
}

func isInternal(dir string) bool { return strings.Contains("/"+dir, "/internal/") }

// packages returns for each folder with code what that imports of these modules.
func packages(sources []*source) map[string][]string {
	imports := map[string][]string{}
	for _, s := range sources {
		if s.test {
			continue
		}
		of := imports[s.dir()]
		for _, i := range s.imports() {
			if below, ours := strings.CutPrefix(i+"/", module+"/"); ours {
				of = append(of, strings.TrimSuffix(below, "/"))
			}
		}
		imports[s.dir()] = of
	}
	return imports
}

// standsOn returns the rooms and packages below a room, those below them too, but not the internal
// rooms of those.
func standsOn(room string) map[string]bool {
	below := map[string]bool{}
	var add func(dir string)
	add = func(dir string) {
		of, _ := roomOf(dir)
		for _, next := range arrows[of] {
			if below[next] {
				continue
			}
			if of == room || !isInternal(next) {
				below[next] = true
			}
			add(next)
		}
	}
	add(room)
	return below
}

// reached returns the packages that a package imports, also through internal ones that are
// no room, each with the way there.
func reached(imports map[string][]string, dir string) map[string]string {
	ways := map[string]string{}
	var add func(dir, way string)
	add = func(dir, way string) {
		for _, imported := range imports[dir] {
			if ways[imported] != "" {
				continue
			}
			ways[imported] = fmt.Sprintf("%s imports %q", way, imported)
			if _, ok := roomOf(imported); !ok {
				add(imported, ways[imported]+", which")
			}
		}
	}
	add(dir, fmt.Sprintf("%q", dir))
	return ways
}

// strayImports returns the imports that go against the arrows, and the packages that are in
// no room.
func strayImports(sources []*source) (stray []string) {
	imports := packages(sources)
	for _, dir := range slices.Sorted(maps.Keys(imports)) {
		room, ok := roomOf(dir)
		if !ok {
			if !isInternal(dir) {
				stray = append(stray, fmt.Sprintf("%q is in no room", dir))
			}
			continue
		}
		below := standsOn(room)
		for imported, way := range reached(imports, dir) {
			if r, ok := roomOf(imported); ok && !below[imported] && !below[r] {
				stray = append(stray, way)
			}
		}
	}
	return stray
}

func TestImportsFollowTheArrows(t *testing.T) {
	for _, stray := range strayImports(tree(t)) {
		t.Error(stray)
	}
}

func TestImportsAgainstTheArrowsAreFound(t *testing.T) {
	file := func(path string, imports ...string) *source {
		text := "package p\n"
		for _, i := range imports {
			text += fmt.Sprintf("import %q\n", module+i)
		}
		return written(t, path, text)
	}
	got := strayImports([]*source{
		file("engine/a.go", "/mask", "/internal/low", "/internal/high"),
		file("engine/b_test.go", "/transport/std"),
		file("engine/c_windows.go", ""),
		file("mask/mask.go"),
		file("internal/low/low.go", "/mask"),
		file("internal/high/high.go", "/internal/higher"),
		file("internal/higher/higher.go", "/transport/std"),
		file("attic/attic.go"),
		file("fanout/prom/prom.go", "", "/engine"),
		file("fanout/fanout.go", "/fanout/prom", "/internal/handshake"),
	})
	want := []string{
		`"attic" is in no room`,
		`"engine" imports ""`,
		`"engine" imports "internal/high", which imports "internal/higher", which imports "transport/std"`,
		`"fanout" imports "fanout/prom"`,
		`"fanout" imports "internal/handshake"`,
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
