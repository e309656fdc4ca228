package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// program is the package that is released.
const program = "./cmd/websock"

func main() {
	log.SetFlags(0)
	log.SetPrefix("dist: ")
	var d dist
	flag.StringVar(&d.out, "out", "dist", "`directory` to make")
	flag.StringVar(&d.version, "version", "", "version, with a v")
	flag.StringVar(&d.cyclonedx, "cyclonedx", "", "`path` of cyclonedx-gomod")
	flag.Parse()
	if err := d.run(flag.Args()); err != nil {
		log.Fatal(err)
	}
}

// A dist is the making of a release.
type dist struct {
	out, work string // directories: of the release, and for what is left behind
	version   string
	cyclonedx string
	modTime   time.Time
}

func (d *dist) run(platforms []string) error {
	if !strings.HasPrefix(d.version, "v") || d.cyclonedx == "" || len(platforms) == 0 {
		return errors.New("-version, -cyclonedx and platforms are needed")
	}
	epoch, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH: %w", err)
	}
	d.modTime = time.Unix(epoch, 0).UTC()
	if d.work, err = os.MkdirTemp("", "websock-dist"); err != nil {
		return err
	}
	defer os.RemoveAll(d.work)
	if err := os.Mkdir(d.out, 0o755); err != nil { // files of another release would get into SHA256SUMS
		return err
	}
	common, err := d.commonFiles()
	if err != nil {
		return err
	}
	for _, platform := range platforms {
		if err := d.release(platform, common); err != nil {
			return fmt.Errorf("%s: %w", platform, err)
		}
		log.Print(platform)
	}
	return writeSums(d.out)
}

// commonFiles returns what is the same in the archives of all platforms.
func (d *dist) commonFiles() (files []file, err error) {
	for _, name := range []string{"LICENSE", "README.md"} {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, file{name, content, false})
	}
	here, err := d.build(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	for name, args := range map[string][]string{
		"websock.1":                {"help", "-man"},
		"completions/websock.bash": {"completion", "bash"},
		"completions/websock.fish": {"completion", "fish"},
		"completions/_websock":     {"completion", "zsh"},
	} {
		content, err := output(exec.Command(here, args...))
		if err != nil {
			return nil, err
		}
		files = append(files, file{name, content, false})
	}
	return files, nil
}

// release writes the archive and the SBOM for a platform.
func (d *dist) release(platform string, common []file) error {
	system, arch, _ := strings.Cut(platform, "/")
	binary, err := d.build(system, arch)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	licences, err := d.licences(system, arch)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("websock_%s_%s_%s", strings.TrimPrefix(d.version, "v"), system, arch)
	files := append([]file{{filepath.Base(binary), content, true}, {"THIRD-PARTY-LICENSES", licences, false}}, common...)
	write, suffix := writeTarGz, ".tar.gz"
	if system == "windows" {
		write, suffix = writeZip, ".zip"
	}
	err = writeFile(filepath.Join(d.out, name+suffix), func(f *os.File) error { return write(f, name, files, d.modTime) })
	if err != nil {
		return err
	}
	sbom, err := d.sbom(binary)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.out, name+".cdx.json"), sbom, 0o644)
}

// build builds the program and returns its path.
func (d *dist) build(system, arch string) (binary string, err error) {
	name := "websock"
	if system == "windows" {
		name += ".exe"
	}
	binary = filepath.Join(d.work, system+"-"+arch, name)
	_, err = d.goCommand(system, arch, "build", "-ldflags", "-s -w -X main.release="+d.version, "-o", binary, program)
	return binary, err
}

// goCommand runs the go command for a platform and returns its output. The version control has no part
// in the build: whether the work tree has other files must not matter.
func (d *dist) goCommand(system, arch string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+arch, "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=-trimpath -buildvcs=false -mod=readonly")
	return output(cmd)
}

// output returns what cmd prints. What it says of an error is printed.
func output(cmd *exec.Cmd) ([]byte, error) {
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %w", cmd, err)
	}
	return out, err
}
