package service

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Load reads a service's configuration: the defaults, over them the file (when its name is not empty), over that the
// environment. An unknown key in the file is an error that names it and its place; an unknown variable that begins
// with the prefix is a warning. The result has been validated where *C has Validate.
//
// A variable's name is the prefix and the key path in upper case: JT1078_REDIS_ADDR is redis.addr. Its value is text
// for a string, YAML for everything else: "5s", "true", "{hub: debug}".
func Load[C any](file, envPrefix string, defaults func() C, environ []string) (cfg C, warnings []string, err error) {
	cfg = defaults()
	if file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return cfg, nil, fmt.Errorf("%w; give --config a file that exists, or leave it out for the defaults", err)
		}
		decoder := yaml.NewDecoder(bytes.NewReader(text))
		decoder.KnownFields(true)
		if err := decoder.Decode(&cfg); err != nil && !errors.Is(err, io.EOF) { // EOF: nothing but comments
			return cfg, nil, fmt.Errorf("%s: %s", file, explain(err, text))
		}
	}
	fields := make(map[string]reflect.Value)
	collectFields(reflect.ValueOf(&cfg).Elem(), strings.TrimSuffix(envPrefix, "_"), fields)
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, envPrefix) {
			continue
		}
		field, known := fields[name]
		if !known {
			warnings = append(warnings, fmt.Sprintf("the variable %s is no setting of this service%s", name, nearest(name, fields)))
			continue
		}
		if err := setField(field, value); err != nil {
			return cfg, warnings, fmt.Errorf("variable %s: %w", name, err)
		}
	}
	if v, ok := any(&cfg).(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return cfg, warnings, err
		}
	}
	return cfg, warnings, nil
}

var (
	unknownField = regexp.MustCompile(`field (\S+) not found in type \S+`)
	lineNumber   = regexp.MustCompile(`^line (\d+): (.*)`)
)

// explain puts the decoder's messages into an operator's words: the line as it stands in the file, the key instead of
// the Go type.
func explain(err error, text []byte) string {
	var typeError *yaml.TypeError
	if !errors.As(err, &typeError) {
		return err.Error()
	}
	lines := strings.Split(string(text), "\n")
	var messages []string
	for _, message := range typeError.Errors {
		message = unknownField.ReplaceAllString(message, "unknown key $1")
		if parts := lineNumber.FindStringSubmatch(message); parts != nil {
			if n, _ := strconv.Atoi(parts[1]); n >= 1 && n <= len(lines) {
				message = fmt.Sprintf("line %d, %q: %s", n, strings.TrimSpace(lines[n-1]), parts[2])
			}
		}
		messages = append(messages, message)
	}
	return strings.Join(messages, "; ")
}

// collectFields maps the names of variables to the settings that they set.
func collectFields(v reflect.Value, name string, fields map[string]reflect.Value) {
	if v.Kind() != reflect.Struct {
		fields[name] = v
		return
	}
	for i := range v.NumField() {
		key, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		switch {
		case strings.Contains(options, "inline"):
			collectFields(v.Field(i), name, fields)
		case key != "" && key != "-":
			collectFields(v.Field(i), name+"_"+strings.ToUpper(key), fields)
		}
	}
}

func setField(field reflect.Value, value string) error {
	if field.Kind() == reflect.String {
		field.SetString(value)
		return nil
	}
	// Into a new value: the decoder would merge into a map or a list that has defaults.
	parsed := reflect.New(field.Type())
	if err := yaml.Unmarshal([]byte(value), parsed.Interface()); err != nil {
		return fmt.Errorf("%q is not a %s", value, field.Type())
	}
	field.Set(parsed.Elem())
	return nil
}

// nearest names the variable that was perhaps meant: one that shares the last part of the path.
func nearest(name string, fields map[string]reflect.Value) string {
	last := name[strings.LastIndexByte(name, '_')+1:]
	var like []string
	for known := range fields {
		if strings.HasSuffix(known, "_"+last) {
			like = append(like, known)
		}
	}
	if len(like) == 0 || len(like) > 4 {
		return ""
	}
	slices.Sort(like)
	return "; is it " + strings.Join(like, " or ") + "?"
}
