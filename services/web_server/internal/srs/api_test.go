package srs

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAnswersThatAreNone(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"not JSON":  func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) },
		"a code":    func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"code":1061}`)) },
		"a status":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"not found": http.NotFound,
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for chunk := []byte(strings.Repeat(" ", 1<<20)); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		},
	} {
		server := httptest.NewServer(handler)
		api := &API{URL: server.URL, HTTP: server.Client()}
		if _, err := api.Clients(t.Context()); err == nil || !strings.Contains(err.Error(), server.URL) {
			t.Errorf("%s: error %v, want one that names the server", name, err)
		}
		server.Close()
	}
}

func TestKick(t *testing.T) {
	var request string
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request = r.Method + " " + r.URL.EscapedPath()
		w.WriteHeader(status)
	}))
	defer server.Close()
	api := &API{URL: server.URL + "/", HTTP: server.Client()}
	if err := api.Kick(t.Context(), "a/b"); err != nil {
		t.Fatal(err)
	}
	if request != "DELETE /api/v1/clients/a%2Fb" {
		t.Errorf("request %s", request)
	}
	status = http.StatusNotFound
	if err := api.Kick(t.Context(), "gone"); err != nil {
		t.Errorf("a client that is gone: %v", err)
	}
}
