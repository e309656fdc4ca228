package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/loadgen"
	"github.com/seed004e8d11/websock/cmd/websock/internal/report"
	"github.com/seed004e8d11/websock/cmd/websock/internal/scenario"
)

// scenarioFlags are the flags of fanout about the file that says what connections do.
type scenarioFlags struct {
	file     string
	parts    int // connections of all processes that share them; 0: those of this one
	scenario *scenario.Scenario
}

func (s *scenarioFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&s.file, "scenario", "", "YAML `file` that says what connections send and receive: docs/scenarios.md describes it. Flags win over what it says")
	fs.IntVar(&s.parts, "parts", 0, "with -part, `number` of connections of all processes together: set by -procs")
}

// notWithScenario are flags that say what a scenario says.
var notWithScenario = []string{"mode", "msg-rate", "size", "text", "window"}

// readScenario reads the scenario, if there is one, and uses what it says where there is no flag. What is
// wrong with the file is no matter of flags, so the user is not sent to those.
func (c *fanoutCommand) readScenario() (err error) {
	if c.file == "" {
		return nil
	}
	if c.scenario, err = readScenarioFile(c.file); err != nil {
		fmt.Fprintf(c.Err, "websock: %v\n", err)
		return exitUsage
	}
	if err := c.checkScenario(); err != nil {
		return c.usageError("%v", err)
	}
	c.adoptScenario()
	return nil
}

// readScenarioFile reads a scenario and the files that it names, in the same folder if they have relative
// names.
func readScenarioFile(file string) (*scenario.Scenario, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return scenario.Parse(file, text, scenario.Sources{
		LookupEnv: os.LookupEnv,
		ReadFile: func(name string) ([]byte, error) {
			if !filepath.IsAbs(name) {
				name = filepath.Join(filepath.Dir(file), name)
			}
			return os.ReadFile(name)
		},
	})
}

// checkScenario refuses flags that don't go together with the scenario.
func (c *fanoutCommand) checkScenario() error {
	given := slices.DeleteFunc(slices.Clone(notWithScenario), func(name string) bool { return !c.given(name) })
	switch staged := len(c.scenario.Stages) > 0; {
	case len(given) > 0:
		return fmt.Errorf("-scenario says what is sent: leave -%s out", strings.Join(given, " and -"))
	case staged && c.joins():
		return errors.New("-cluster keeps the same connections open all the time, but the scenario has stages")
	case staged && c.given("duration"):
		return errors.New("the scenario has stages, which say how long it takes: leave -duration out")
	}
	return nil
}

// adoptScenario sets what no flag says.
func (c *fanoutCommand) adoptScenario() {
	s := c.scenario
	if len(c.urls) == 0 && s.URL != "" {
		c.urls = []string{s.URL}
	}
	if !c.given("n") && s.MostConnections() > 0 {
		c.n = s.MostConnections()
	}
	if !c.given("duration") && s.Length() > 0 {
		c.duration = s.Length()
	}
	if len(c.thresholds) == 0 {
		c.thresholds = s.Thresholds
	}
	if len(c.subprotocols) == 0 {
		c.subprotocols = s.Subprotocols
	}
}

// hasEnd reports whether the run ends by itself, also as a member of a cluster.
func (c *fanoutCommand) hasEnd() bool {
	return !c.joins() || c.given("duration") || c.scenario != nil && c.scenario.Length() > 0
}

// addScenario adds the scenario, if there is one, to what a load generator does with its connections.
func (c *fanoutCommand) addScenario(load *loadgen.Config) {
	if c.scenario == nil {
		return
	}
	load.Scenario = c.scenario
	load.All = c.parts
	load.AnswerTimeout = c.timeout
}

// countedNames returns the names under which the scenario, if there is one, counts messages.
func (c *fanoutCommand) countedNames() []string {
	if c.scenario == nil {
		return nil
	}
	return c.scenario.Counts()
}

// describeScenario says in a report what is counted, and how.
func (c *fanoutCommand) describeScenario(r *report.Report) {
	if c.scenario == nil {
		return
	}
	r.Scenario, r.Mode, r.Size, r.Window = c.file, "", 0, 0
	r.Answers, r.PushedTime = c.scenario.Answers(), c.scenario.PushedTime()
	for _, stage := range c.scenario.Stages {
		r.Stages = append(r.Stages, report.Stage{Name: stage.Name, To: stage.To, Seconds: stage.For.Seconds()})
	}
	if r.Stages == nil {
		r.AskedRate = c.scenario.Rate() * float64(c.n)
	}
}

// checkRequest refuses a scenario whose first request can't be sent to a URL.
func (c *fanoutCommand) checkRequest(url string) error {
	if c.scenario == nil {
		return nil
	}
	target, header, err := loadgen.Request(c.scenario, max(c.part, 0), url, c.header, time.Now())
	if err != nil {
		return err
	}
	with := c.dialFlags
	with.header = header
	return with.check(target)
}
