package scenario

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
)

// A table is a CSV file: a header line and rows.
type table struct {
	columns []string
	rows    [][]string
}

// parseTable parses a CSV file. It may begin with a byte order mark, as Excel writes it.
func parseTable(text []byte) (*table, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte(byteOrderMark))))
	rows, err := r.ReadAll()
	var syntax *csv.ParseError
	switch {
	case errors.Is(err, csv.ErrFieldCount) && errors.As(err, &syntax):
		return nil, fmt.Errorf("line %d has another number of fields than the header line", syntax.Line)
	case err != nil:
		return nil, err
	case len(rows) < 2:
		return nil, errors.New("it needs a header line and at least one row")
	}
	t := &table{rows[0], rows[1:]}
	seen := map[string]bool{}
	for i, name := range t.columns {
		if name == "" || seen[name] {
			return nil, fmt.Errorf("the names in the header line differ and are not empty; number %d is %q", i+1, name)
		}
		seen[name] = true
	}
	return t, nil
}

// withColumns adds the names of the columns to the error of a template that uses another name.
func (t *table) withColumns(err error) error {
	switch {
	case !strings.Contains(err.Error(), "map has no entry for key"):
		return err
	case t == nil:
		return fmt.Errorf("%w: the scenario has no data", err)
	}
	return fmt.Errorf("%w: the columns of data are %s", err, strings.Join(t.columns, ", "))
}

// row returns the row of a connection: the rows are used in turn.
func (t *table) row(connection int) map[string]string {
	if t == nil {
		return nil
	}
	row := make(map[string]string, len(t.columns))
	for i, value := range t.rows[connection%len(t.rows)] {
		row[t.columns[i]] = value
	}
	return row
}
