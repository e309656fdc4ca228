package report

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/seed004e8d11/websock/cmd/websock/internal/threshold"
	"github.com/seed004e8d11/websock/fanout/cluster"
)

const schemaFile = "../../../../docs/summary.schema.json"

// A schemaNode is a part of the schema.
type schemaNode struct {
	Ref         string                 `json:"$ref"`
	Description string                 `json:"description"`
	Required    []string               `json:"required"`
	Properties  map[string]*schemaNode `json:"properties"`
	Items       *schemaNode            `json:"items"`
	AnyOf       []*schemaNode          `json:"anyOf"`
	Defs        map[string]*schemaNode `json:"$defs"`
}

// checkKeys checks that an object of the schema describes exactly the keys of a struct.
func (root *schemaNode) checkKeys(t *testing.T, at string, node *schemaNode, of reflect.Type) {
	if node == nil {
		t.Errorf("%s: no schema", at)
		return
	}
	for len(node.AnyOf) > 0 {
		node = node.AnyOf[0]
	}
	if name, ok := strings.CutPrefix(node.Ref, "#/$defs/"); ok {
		node = root.Defs[name]
	}
	switch of.Kind() {
	case reflect.Pointer:
		root.checkKeys(t, at, node, of.Elem())
		return
	case reflect.Slice:
		root.checkKeys(t, at+"[]", node.Items, of.Elem())
		return
	case reflect.Struct:
	default:
		return
	}
	left := map[string]bool{}
	for key := range node.Properties {
		left[key] = true
	}
	for i := range of.NumField() {
		key, option, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
		if key == "" || key == "-" {
			continue
		}
		delete(left, key)
		property := node.Properties[key]
		if property == nil || property.Description == "" {
			t.Errorf("%s.%s: no description", at, key)
			continue
		}
		if required := slices.Contains(node.Required, key); required == strings.Contains(option, "omit") {
			t.Errorf("%s.%s: required: %v", at, key, required)
		}
		root.checkKeys(t, at+"."+key, property, of.Field(i).Type)
	}
	for key := range left {
		t.Errorf("%s.%s: nothing has it", at, key)
	}
}

func TestSchemaDescribesEveryKeyOfAReport(t *testing.T) {
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var root schemaNode
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	root.checkKeys(t, "report", &root, reflect.TypeFor[Report]())
}

func TestReportsAreAsTheSchemaSays(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	full := &Report{
		URLs: []string{"ws://a/"}, Server: "given", Transport: "std", Processes: 1, Sources: []string{"127.0.0.2"}, StreamsAsked: 100,
		Mode: ModeSend, Scenario: "a.yaml", AskedRate: 0.5,
		Cluster: &Cluster{Status: &cluster.Status{Members: []cluster.MemberStatus{{Wants: []int{1}}, {}}}},
	}
	full.SetResult(measured(), nil)
	full.FirstErrors = map[string]string{"TLS": "no trust"}
	for _, text := range []string{"latency.p99<1s", "errors<1%", "reconnects==0"} {
		parsed, err := threshold.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		full.Judge([]threshold.Threshold{parsed})
	}
	empty := &Report{URLs: []string{}, Processes: 1, Cluster: &Cluster{}}
	nothing := measured()
	nothing.Elapsed, nothing.Dialing, nothing.Connections = 0, 0, 0
	empty.SetResult(nothing, nil)
	negative := measured()
	negative.Connections, negative.DialCPU, negative.Exchanged, negative.CPU = 1, -time.Millisecond, 1, -time.Millisecond
	little := &Report{URLs: []string{}, Processes: 1}
	little.SetResult(negative, nil)
	for _, r := range []*Report{full, empty, little} {
		var b bytes.Buffer
		if err := r.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(&b)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); err != nil {
			t.Error(err)
		}
	}
	if err := schema.Validate(map[string]any{"schema_version": 2}); err == nil {
		t.Error("the schema allows everything")
	}
}
