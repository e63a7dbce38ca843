package signalling

import (
	"encoding/binary"
	"testing"

	judge "github.com/cuteLittleDevil/go-jt808/protocol/jt808"
	"github.com/cuteLittleDevil/go-jt808/protocol/model"
	"github.com/cuteLittleDevil/go-jt808/shared/consts"

	"multi_process_server/pkg/jt808"
)

// Another implementation of JT/T 808 judges ours, message by message and both ways: what we write it reads, what it
// writes we read. See docs/adr/0002 for why it is a judge and not the codec.

// judgeBody is what the judge's messages have in common.
type judgeBody interface {
	Parse(*judge.JTMessage) error
	Encode() []byte
}

var judgeCases = []struct {
	name    string
	version jt808.Version
	ours    jt808.Body
	theirs  judgeBody
	empty   judgeBody // to parse into
}{
	{
		"terminal reply", jt808.Version2013, &jt808.TerminalReply{Serial: 7, To: jt808.IDLiveStart, Result: 1},
		&model.T0x0001{SerialNumber: 7, ID: 0x9101, Result: 1}, &model.T0x0001{},
	},
	{
		"platform reply", jt808.Version2019, &jt808.PlatformReply{Serial: 7, To: jt808.IDLocation, Result: 3},
		&model.P0x8001{RespondSerialNumber: 7, RespondID: 0x0200, Result: 3}, &model.P0x8001{},
	},
	{
		"register 2011", jt808.Version2011,
		&jt808.Register{Province: 44, City: 307, Maker: "MAKER", Model: "MODEL", TerminalID: "ID", PlateColour: 2, Plate: "A12345"},
		&model.T0x0100{
			ProvinceID: 44, CityID: 307, ManufacturerID: "MAKER", TerminalModel: "MODEL", TerminalID: "ID", PlateColor: 2,
			LicensePlateNumber: "A12345", Version: consts.JT808Protocol2011,
		}, &model.T0x0100{},
	},
	{
		"register 2013", jt808.Version2013,
		&jt808.Register{Province: 44, City: 307, Maker: "MAKER", Model: "MODEL", TerminalID: "ID", PlateColour: 2, Plate: "A12345"},
		&model.T0x0100{
			ProvinceID: 44, CityID: 307, ManufacturerID: "MAKER", TerminalModel: "MODEL", TerminalID: "ID", PlateColor: 2,
			LicensePlateNumber: "A12345", Version: consts.JT808Protocol2013,
		}, &model.T0x0100{},
	},
	{
		"register 2019", jt808.Version2019,
		&jt808.Register{Province: 44, City: 307, Maker: "MAKER", Model: "MODEL", TerminalID: "ID", PlateColour: 2, Plate: "A12345"},
		&model.T0x0100{
			ProvinceID: 44, CityID: 307, ManufacturerID: "MAKER", TerminalModel: "MODEL", TerminalID: "ID", PlateColor: 2,
			LicensePlateNumber: "A12345", Version: consts.JT808Protocol2019,
		}, &model.T0x0100{},
	},
	{
		"register reply", jt808.Version2013, &jt808.RegisterReply{Serial: 7, AuthCode: "code"},
		&model.P0x8100{RespondSerialNumber: 7, AuthCode: "code"}, &model.P0x8100{},
	},
	{
		"authenticate 2013", jt808.Version2013, &jt808.Authenticate{Code: "code"},
		&model.T0x0102{AuthCode: "code", Version: consts.JT808Protocol2013}, &model.T0x0102{},
	},
	{
		"authenticate 2019", jt808.Version2019, &jt808.Authenticate{Code: "code", IMEI: "867188030000001", Software: "v1"},
		&model.T0x0102{
			AuthCodeLen: 4, AuthCode: "code", TerminalIMEI: "867188030000001", SoftwareVersion: "v1",
			Version: consts.JT808Protocol2019,
		}, &model.T0x0102{},
	},
	{
		"location", jt808.Version2013,
		&jt808.Location{
			Alarm: 1, Status: 3, Latitude: 22521512, Longitude: 113924720, Altitude: 40, Speed: 400, Direction: 90,
			Time: jt808.DateTime{0x26, 0x01, 0x01, 0x12, 0x00, 0x05},
		},
		&model.T0x0200{T0x0200LocationItem: model.T0x0200LocationItem{
			AlarmSign: 1, StatusSign: 3, Latitude: 22521512, Longitude: 113924720, Altitude: 40, Speed: 400, Direction: 90,
			DateTime: "2026-01-01 12:00:05",
		}}, &model.T0x0200{},
	},
	{
		"live start", jt808.Version2013,
		&jt808.LiveStart{Host: "203.0.113.7", TCPPort: 9501, UDPPort: 9502, Channel: 3, Media: 2, Stream: 1},
		&model.P0x9101{
			ServerIPLen: 11, ServerIPAddr: "203.0.113.7", TcpPort: 9501, UdpPort: 9502, ChannelNo: 3, DataType: 2, StreamType: 1,
		}, &model.P0x9101{},
	},
	{
		"live control", jt808.Version2019, &jt808.LiveControl{Channel: 3, Command: 1, Close: 2, Stream: 1},
		&model.P0x9102{ChannelNo: 3, ControlCmd: 1, CloseAudioVideoData: 2, StreamType: 1}, &model.P0x9102{},
	},
}

func TestJudgeReadsOurs(t *testing.T) {
	for _, c := range judgeCases {
		t.Run(c.name, func(t *testing.T) {
			h := jt808.Header{Version: c.version, ProtocolVersion: 1, SIM: parseSIM(t, "017d7e409438"), Serial: 0x7e7d}
			frame, err := jt808.Append(nil, h, c.ours)
			if err != nil {
				t.Fatal(err)
			}
			m := judge.NewJTMessage()
			if err := m.Decode(frame); err != nil {
				t.Fatal(err)
			}
			if m.Header.ID != uint16(c.ours.ID()) || m.Header.SerialNumber != h.Serial || m.Header.TerminalPhoneNo != "17d7e409438" {
				t.Fatalf("got header %+v", m.Header)
			}
			if err := c.empty.Parse(m); err != nil {
				t.Fatal(err)
			}
			if got, want := string(c.empty.Encode()), string(c.theirs.Encode()); got != want {
				t.Fatalf("it read %x, meant was %x", got, want)
			}
		})
	}
}

func TestJudgeWritesOurs(t *testing.T) {
	for _, c := range judgeCases {
		t.Run(c.name, func(t *testing.T) {
			want, err := c.ours.Append(nil, c.version)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.theirs.Encode(); string(got) != string(want) {
				t.Fatalf("it writes %x, we write %x", got, want)
			}
		})
	}
}

// The judge makes the vehicle's frames and reads the gateway's.
func TestJudgeDrivesGateway(t *testing.T) {
	for edition, sim := range map[string]string{"2013": testSIM, "2019": testLongSIM} {
		t.Run(edition, func(t *testing.T) {
			g := startGateway(t, nil)
			v := dial(t, g, sim)
			header := judge.NewJTMessage() // it makes headers from headers that it has read
			if err := header.Decode(v.frame(0x0002, 0, 0, nil)); err != nil {
				t.Fatal(err)
			}
			version := consts.JT808Protocol2013
			if edition == "2019" {
				version = consts.JT808Protocol2019
			}
			exchange := func(id uint16, body []byte) *judge.JTMessage {
				t.Helper()
				v.serial++
				header.Header.ReplyID, header.Header.PlatformSerialNumber = id, v.serial
				for _, packet := range header.Header.EncodePackets(body) {
					v.write(packet)
				}
				m := judge.NewJTMessage()
				if err := m.Decode(v.readFrame()); err != nil {
					t.Fatal(err)
				}
				if m.Header.ProtocolVersion != version {
					t.Fatalf("answered in edition %v", m.Header.ProtocolVersion)
				}
				return m
			}
			general := func(m *judge.JTMessage, to uint16) {
				t.Helper()
				var reply model.P0x8001
				if err := reply.Parse(m); err != nil || m.Header.ID != 0x8001 {
					t.Fatalf("%04x: %v", m.Header.ID, err)
				}
				if reply.RespondID != to || reply.RespondSerialNumber != v.serial || reply.Result != 0 {
					t.Fatalf("got %+v", reply)
				}
			}

			m := exchange(0x0100, (&model.T0x0100{ManufacturerID: "MAKER", LicensePlateNumber: "京A12345", Version: version}).Encode())
			var registered model.P0x8100
			if err := registered.Parse(m); err != nil || m.Header.ID != 0x8100 || registered.Result != 0 {
				t.Fatalf("%04x %+v: %v", m.Header.ID, registered, err)
			}
			general(exchange(0x0102, (&model.T0x0102{
				AuthCodeLen: uint8(len(registered.AuthCode)), AuthCode: registered.AuthCode, TerminalIMEI: "867188030000001",
				SoftwareVersion: "v1", Version: version,
			}).Encode()), 0x0102)
			general(exchange(0x0002, nil), 0x0002)
			location := (&model.T0x0200{T0x0200LocationItem: model.T0x0200LocationItem{
				StatusSign: 2, Latitude: 22521512, Longitude: 113924720, DateTime: "2026-01-01 12:00:05",
			}}).Encode()
			general(exchange(0x0200, location), 0x0200)
			batch := binary.BigEndian.AppendUint16([]byte{0, 1, 0}, uint16(len(location)))
			general(exchange(0x0704, append(batch, location...)), 0x0704)
			if got, ok := g.Vehicle(parseSIM(t, testSIM)); !ok || got.Location.Time.String() != "260101120005" {
				t.Fatalf("got %+v", got)
			}

			done := issue(t, g, testCommand)
			if err := m.Decode(v.readFrame()); err != nil {
				t.Fatal(err)
			}
			var start model.P0x9101
			if err := start.Parse(m); err != nil || start.ServerIPAddr != "203.0.113.7" || start.TcpPort != 9501 || start.ChannelNo != 3 {
				t.Fatalf("got %+v: %v", start, err)
			}
			header.Header.ReplyID, header.Header.PlatformSerialNumber = 0x0001, v.serial+1
			v.write(header.Header.EncodePackets((&model.T0x0001{SerialNumber: m.Header.SerialNumber, ID: m.Header.ID}).Encode())[0])
			if err := result(t, done); err != nil {
				t.Fatal(err)
			}
		})
	}
}
