package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// table is printed as Markdown. A cell of the header that ends with a colon is a column of numbers.
type table struct {
	title  string
	header []string
	rows   [][]string
	notes  []string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// note adds a line below the table, once.
func (t *table) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(t.notes, text) {
		t.notes = append(t.notes, text)
	}
}

func (t *table) print(w io.Writer) {
	widths := make([]int, len(t.header))
	for i, cell := range t.header {
		widths[i] = utf8.RuneCountInString(strings.TrimSuffix(cell, ":"))
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	line := func(cells []string) {
		for i, cell := range cells {
			cell = strings.TrimSuffix(cell, ":")
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if strings.HasSuffix(t.header[i], ":") {
				fmt.Fprintf(w, "| %s%s ", gap, cell)
			} else {
				fmt.Fprintf(w, "| %s%s ", cell, gap)
			}
		}
		fmt.Fprintln(w, "|")
	}
	fmt.Fprintf(w, "\n## %s\n\n", t.title)
	line(t.header)
	for i, cell := range t.header {
		rule := strings.Repeat("-", widths[i]+2)
		if strings.HasSuffix(cell, ":") {
			rule = rule[1:] + ":"
		}
		fmt.Fprintf(w, "|%s", rule)
	}
	fmt.Fprintln(w, "|")
	for _, row := range t.rows {
		line(row)
	}
	for _, note := range t.notes {
		fmt.Fprintf(w, "\n%s\n", note)
	}
}

// quantile of values that need not be sorted; q is 0 to 1, 0.5 the median.
func quantile(values []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	i := int(at)
	if i+1 == len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// ratio is that of the medians; in brackets the smallest and the largest of a round, of many rounds the quartiles.
func ratio(subject, limit []float64) string {
	const many = 10
	rounds := make([]float64, len(subject))
	for i := range subject {
		rounds[i] = subject[i] / limit[i]
	}
	text := fmt.Sprintf("**%.2f**", median(subject)/median(limit))
	switch {
	case len(rounds) >= many:
		text += fmt.Sprintf(" (%.2f–%.2f)", quantile(rounds, 0.25), quantile(rounds, 0.75))
	case len(rounds) > 1:
		text += fmt.Sprintf(" (%.2f–%.2f)", slices.Min(rounds), slices.Max(rounds))
	}
	return text
}
