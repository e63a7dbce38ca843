package signalling

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"

	"multi_process_server/pkg/jt1078"
)

// AuthCode is the authentication code of a vehicle: it is made from the SIM and gateway.auth_secret, so that it needs
// no storage, is the same on all nodes, and is good after a restart. By hand:
//
//	printf %s 064959409438 | openssl dgst -sha256 -hmac "$SECRET" | tail -c 65 | head -c 16
func AuthCode(secret string, sim jt1078.SIM) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(sim.String()))
	return hex.EncodeToString(mac.Sum(nil))[:16]
}

// checkCode tells whether a vehicle may come in with its code, and whether the code is our own.
func (c *GatewayConfig) checkCode(sim jt1078.SIM, code string) (accepted, own bool) {
	own = subtle.ConstantTimeCompare([]byte(code), []byte(AuthCode(c.AuthSecret, sim))) == 1
	return own || c.AuthSecret == "", own
}
