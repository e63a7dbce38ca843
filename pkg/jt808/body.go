package jt808

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// Body is the content of a message. All messages of the package implement it with pointers.
type Body interface {
	ID() MessageID
	// Unmarshal reads a whole body, laid out as in the edition v. The error is ErrBody.
	Unmarshal(b []byte, v Version) error
	// Append writes the body to dst, laid out as in the edition v. The error is ErrField.
	Append(dst []byte, v Version) ([]byte, error)
}

var (
	// ErrBody is what every error of an Unmarshal is: the vehicle (or platform) wrote something else than its id says.
	ErrBody = errors.New("jt808: malformed body")
	// ErrField is what every error of a Body's Append is: a value does not fit its field.
	ErrField = errors.New("jt808: value does not fit")
)

func lengthError(id MessageID, got int, want string) error {
	return fmt.Errorf("%w: %s has %d bytes, want %s", ErrBody, id, got, want)
}

// appendFixed writes s and pads it with zeros to size.
func appendFixed(dst []byte, id MessageID, field, s string, size int) ([]byte, error) {
	if len(s) > size {
		return nil, fmt.Errorf("%w: %s of %s has %d bytes, the field %d", ErrField, field, id, len(s), size)
	}
	dst = append(dst, s...)
	return append(dst, make([]byte, size-len(s))...), nil
}

// fixed reads a padded field. The standards pad with zeros behind; vehicles pad with spaces and in front, too.
func fixed(b []byte) string { return strings.Trim(string(b), "\x00 ") }

// Text makes a STRING field readable. JT/T 808 strings are GBK; some vehicles write UTF-8, and then it is left alone.
func Text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	text, err := simplifiedchinese.GBK.NewDecoder().String(s)
	if err != nil {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return text
}
