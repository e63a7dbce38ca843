package signalling

import (
	"encoding/json"
	"strconv"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/jt808"
)

// QueueKey is the Redis list that an outside JT/T 808 server takes commands from, oldest first (LPOP, BLPOP).
const QueueKey = "EXTERNAL_COMMAND"

// Endpoint is where a vehicle shall dial.
type Endpoint struct {
	Host string
	Port uint16
}

// An element of the list is a compact JSON object with sorted keys and nothing but strings as values. The structs' fields
// are in that order.

type externalLive struct {
	ChannelNo      string `json:"channelNo"`
	CodeStreamType string `json:"codeStreamType"`
	CommandID      string `json:"commandId"`
	DataType       string `json:"dataType"`
	ICCID          string `json:"iccid"`
	IP             string `json:"ip"`
	Port           string `json:"port"`
}

type externalReplayStart struct {
	ChannelNo      string `json:"channelNo"`
	CodeStreamType string `json:"codeStreamType"`
	CommandID      string `json:"commandId"`
	DataType       string `json:"dataType"`
	EndTime        string `json:"endTime"`
	ICCID          string `json:"iccid"`
	IP             string `json:"ip"`
	Port           string `json:"port"`
	StartTime      string `json:"startTime"`
}

type externalReplayStop struct {
	ChannelNo string `json:"channelNo"`
	CommandID string `json:"commandId"`
	ICCID     string `json:"iccid"`
}

// encodeLive is 0x9101 to start (command "9101") and 0x9102 to stop ("9102").
func encodeLive(command string, id jt1078.StreamID, stream jt808.StreamType, dial Endpoint) []byte {
	return encode(externalLive{
		ChannelNo: decimal(id.Channel), CodeStreamType: decimal(stream), CommandID: command,
		DataType: decimal(jt808.MediaAV), ICCID: id.SIM.String(), IP: dial.Host, Port: decimal(dial.Port),
	})
}

// encodeReplayStart is 0x9201. Its stream type is 0x9201's, where 0 is "any".
func encodeReplayStart(id jt1078.StreamID, from, to jt808.DateTime, dial Endpoint) []byte {
	return encode(externalReplayStart{
		ChannelNo: decimal(id.Channel), CodeStreamType: "0", CommandID: "9201", DataType: decimal(jt808.MediaAV),
		EndTime: to.String(), ICCID: id.SIM.String(), IP: dial.Host, Port: decimal(dial.Port), StartTime: from.String(),
	})
}

// encodeReplayStop is 0x9202.
func encodeReplayStop(id jt1078.StreamID) []byte {
	return encode(externalReplayStop{ChannelNo: decimal(id.Channel), CommandID: "9202", ICCID: id.SIM.String()})
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // structs of strings always encode
	}
	return b
}

func decimal[T ~uint8 | ~uint16](n T) string { return strconv.Itoa(int(n)) }
