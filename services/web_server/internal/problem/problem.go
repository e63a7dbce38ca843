// Package problem answers an HTTP request that cannot be served: RFC 9457 problem+json with a sentence that says what
// to do.
package problem

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/gin-gonic/gin"
)

// Details is the body (RFC 9457, 3.1). Extra members are flat beside the standard ones.
type Details struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	// Canonical is the stream id that would have been understood.
	Canonical string `json:"canonical,omitempty"`
	// Stage is the one of a stream's start that did not come.
	Stage string `json:"stage,omitempty"`
}

// Abort ends the request with the problem; an empty title becomes the status's own text.
func Abort(c *gin.Context, d Details) {
	if d.Title == "" {
		d.Title = http.StatusText(d.Status)
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)              // people read it, in curl
	if err := encoder.Encode(d); err != nil { // strings and an int: cannot happen, and a body is not worth a panic
		body.Reset()
	}
	c.Abort()
	c.Data(d.Status, "application/problem+json", body.Bytes())
}
