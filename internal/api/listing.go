package main

import (
	"fmt"
	"go/constant"
	"go/types"
	"time"
)

// listing returns a line for each exported name of a package, for each exported field of
// its structs and for each method: constants, variables and functions first, then types.
// Names and methods are in alphabetical order, fields as they are declared.
func listing(p *types.Package) []string {
	var constants, variables, functions, defined []string
	names := func(other *types.Package) string {
		if other == p {
			return ""
		}
		return other.Name()
	}
	for _, name := range p.Scope().Names() {
		object := p.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		switch o := object.(type) {
		case *types.Const:
			constants = append(constants, constantLine(o, names))
		case *types.Var:
			variables = append(variables, fmt.Sprintf("var %s %s", name, types.TypeString(o.Type(), names)))
		case *types.Func:
			functions = append(functions, "func "+signature(o, names))
		case *types.TypeName:
			defined = append(defined, typeLines(o, names)...)
		}
	}
	return append(append(append(constants, variables...), functions...), defined...)
}

func constantLine(c *types.Const, names types.Qualifier) string {
	if basic, ok := c.Type().(*types.Basic); ok && basic.Info()&types.IsUntyped != 0 {
		return fmt.Sprintf("const %s = %s", c.Name(), c.Val().ExactString())
	}
	kind, value := types.TypeString(c.Type(), names), c.Val().ExactString()
	if kind == "time.Duration" {
		n, _ := constant.Int64Val(c.Val())
		value = time.Duration(n).String()
	}
	return fmt.Sprintf("const %s %s = %s", c.Name(), kind, value)
}

// signature returns a function's name, parameters and results.
func signature(f *types.Func, names types.Qualifier) string {
	return f.Name() + types.TypeString(f.Type(), names)[len("func"):]
}

// typeLines returns the lines of a type: what it is, then its fields and methods. Those of
// an alias are listed with the package that defines them, unless that is internal.
func typeLines(o *types.TypeName, names types.Qualifier) (lines []string) {
	named := types.TypeString(o.Type(), names)
	if alias, ok := o.Type().(*types.Alias); ok {
		named = o.Name()
		lines = []string{fmt.Sprintf("type %s = %s", named, types.TypeString(alias.Rhs(), names))}
		target, ok := types.Unalias(alias).(*types.Named)
		if !ok || target.Obj().Pkg() == nil || !internal(target.Obj().Pkg().Path()) {
			return lines
		}
	}
	switch t := o.Type().Underlying().(type) {
	case *types.Struct:
		lines = append(lines, fmt.Sprintf("type %s struct", named))
		for field := range t.Fields() {
			if field.Exported() {
				lines = append(lines, fmt.Sprintf("type %s struct, %s", named, fieldText(field, names)))
			}
		}
	case *types.Interface:
		lines = append(lines, interfaceLines("type "+named, t, names)...)
	default:
		lines = append(lines, fmt.Sprintf("type %s %s", named, types.TypeString(t, names)))
	}
	return append(lines, methodLines(named, o.Type(), names)...)
}

func fieldText(field *types.Var, names types.Qualifier) string {
	if field.Embedded() {
		return "embedded " + types.TypeString(field.Type(), names)
	}
	return field.Name() + " " + types.TypeString(field.Type(), names)
}

func interfaceLines(head string, t *types.Interface, names types.Qualifier) []string {
	if !t.IsMethodSet() { // a constraint
		return []string{head + " " + types.TypeString(t, names)}
	}
	lines, sealed := []string{head + " interface"}, false
	for method := range t.Methods() {
		if method.Exported() {
			lines = append(lines, fmt.Sprintf("%s interface, %s", head, signature(method, names)))
		}
		sealed = sealed || !method.Exported()
	}
	if sealed {
		lines = append(lines, head+" interface, unexported methods")
	}
	return lines
}

// methodLines returns the methods of a type, those of embedded types too.
func methodLines(named string, t types.Type, names types.Qualifier) (lines []string) {
	if types.IsInterface(t) {
		return nil
	}
	ofValue := types.NewMethodSet(t)
	for selection := range types.NewMethodSet(types.NewPointer(t)).Methods() {
		method := selection.Obj().(*types.Func)
		if !method.Exported() {
			continue
		}
		star := "*"
		if ofValue.Lookup(method.Pkg(), method.Name()) != nil {
			star = ""
		}
		lines = append(lines, fmt.Sprintf("method (%s%s) %s", star, named, signature(method, names)))
	}
	return lines
}
