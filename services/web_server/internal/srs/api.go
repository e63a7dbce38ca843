// Package srs is the client of an SRS server's HTTP API: who is connected, and send one away.
package srs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// maxBody bounds an answer of the API; a client takes some 500 bytes of it.
const maxBody = 32 << 20

// maxClients is the `count` that is asked for: without it SRS lists ten.
const maxClients = 50000

// API is one SRS server's API. It is safe for concurrent use.
type API struct {
	// URL is the API's root, such as http://127.0.0.1:1985.
	URL string
	// HTTP is used as it is; its Timeout bounds a call.
	HTTP *http.Client
}

// Client is a player or publisher connected to SRS, as `/api/v1/clients/` lists it.
type Client struct {
	ID string `json:"id"`
	// URL is "/app/stream", without suffix.
	URL string `json:"url"`
	// Name may bear the suffix that the player asked with: .flv, .m3u8.
	Name    string `json:"name"`
	Type    string `json:"type"` // flv-play, hls-play, rtmp-play, fmle-publish, …
	Publish bool   `json:"publish"`
	// Alive is for how long the client has been connected, in seconds.
	Alive float64 `json:"alive"`
}

// App is the application that the client is connected to, empty when SRS does not say.
func (c *Client) App() string {
	app, _, ok := strings.Cut(strings.TrimPrefix(c.URL, "/"), "/")
	if !ok {
		return ""
	}
	return app
}

// Stream is the name of the stream without the suffix of the way that it is played.
func (c *Client) Stream() string { return StreamName(c.Name) }

// StreamName takes the suffix off that HTTP players ask with.
func StreamName(name string) string {
	name = strings.TrimSuffix(name, ".m3u8")
	return strings.TrimSuffix(name, ".flv")
}

// Listing is who was connected at one moment.
type Listing struct {
	// Server is the server's id, the same that its callbacks bear as server_id.
	Server  string   `json:"server"`
	Clients []Client `json:"clients"`
}

// Clients lists everybody who is connected.
func (a *API) Clients(ctx context.Context) (*Listing, error) {
	body, err := a.do(ctx, http.MethodGet, "/api/v1/clients/?count="+strconv.Itoa(maxClients))
	if err != nil {
		return nil, err
	}
	var answer struct {
		Code int `json:"code"`
		Listing
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("SRS %s: the client list is not what SRS answers: %w", a.URL, err)
	}
	if answer.Code != 0 {
		return nil, fmt.Errorf("SRS %s: client list: code %d", a.URL, answer.Code)
	}
	return &answer.Listing, nil
}

// Kick ends a client's connection. That it is gone already is no error.
func (a *API) Kick(ctx context.Context, id string) error {
	_, err := a.do(ctx, http.MethodDelete, "/api/v1/clients/"+url.PathEscape(id))
	if errors.Is(err, errNotFound) {
		return nil
	}
	return err
}

var errNotFound = errors.New("404 Not Found")

func (a *API) do(ctx context.Context, method, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(a.URL, "/")+path, nil)
	if err != nil {
		return nil, fmt.Errorf("SRS %s: %w", a.URL, err)
	}
	response, err := a.HTTP.Do(request)
	if err != nil {
		return nil, fmt.Errorf("SRS: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("SRS %s: %w", a.URL, err)
	case len(body) > maxBody:
		return nil, fmt.Errorf("SRS %s: an answer of more than %d bytes", a.URL, maxBody)
	case response.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("SRS %s: %s %s: %w", a.URL, method, path, errNotFound)
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("SRS %s: %s %s: %s", a.URL, method, path, response.Status)
	}
	return body, nil
}
