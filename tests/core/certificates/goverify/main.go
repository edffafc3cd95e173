// Goverify answers, with Go's own crypto/x509 and encoding/pem, the questions that the project answers in Python:
// would kube-apiserver accept this server, which blocks does a PEM file have, would OLM keep this Secret.
//
// It reads one JSON document from standard input and writes one to standard output; the argument names the question.
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

type verifyCase struct {
	Presented []byte    `json:"presented"`
	Roots     []byte    `json:"roots"`
	Host      string    `json:"host"`
	Now       time.Time `json:"now"`
}

type answer struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

type block struct {
	Label   string `json:"label"`
	SHA256  string `json:"sha256"`
	Headers bool   `json:"headers"`
}

type secretCase struct {
	Certificate []byte    `json:"certificate"`
	Authority   []byte    `json:"authority"`
	Hosts       []string  `json:"hosts"`
	Now         time.Time `json:"now"`
}

func main() {
	if len(os.Args) != 2 {
		fail(errors.New("usage: goverify verify|pem|secret|pair"))
	}
	switch os.Args[1] {
	case "verify":
		answerAll(verify)
	case "pem":
		answerAll(blocks)
	case "secret":
		answerAll(keeps)
	case "pair":
		answerAll(pairs)
	default:
		fail(fmt.Errorf("unknown question %q", os.Args[1]))
	}
}

func answerAll[Q, A any](one func(Q) A) {
	var questions []Q
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		fail(err)
	}
	answers := make([]A, 0, len(questions))
	for _, question := range questions {
		answers = append(answers, one(question))
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fail(err)
	}
}

// verify does what a TLS client with RootCAs and ServerName does after the handshake.
func verify(question verifyCase) answer {
	chain := certificates(question.Presented)
	if len(chain) == 0 {
		return answer{Kind: "UNREADABLE"}
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(question.Roots) {
		return answer{Kind: "NO_ROOTS"}
	}
	helpers := x509.NewCertPool()
	for _, certificate := range chain[1:] {
		helpers.AddCert(certificate)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		DNSName: question.Host, Roots: roots, Intermediates: helpers, CurrentTime: question.Now,
	})
	return explain(err)
}

func explain(err error) answer {
	if err == nil {
		return answer{Kind: "VALID"}
	}
	var host x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var extension x509.UnhandledCriticalExtension
	kind := "OTHER"
	switch {
	case strings.Contains(err.Error(), "limit reached"):
		kind = "TOO_MANY_CANDIDATES"
	case errors.As(err, &host):
		kind = "NAME_MISMATCH"
	case errors.As(err, &unknown):
		kind = "UNKNOWN_AUTHORITY"
	case errors.As(err, &extension):
		kind = "UNKNOWN_EXTENSION"
	case errors.As(err, &invalid):
		kind = map[x509.InvalidReason]string{
			x509.Expired:                    "NOT_CURRENT",
			x509.CANotAuthorizedForThisName: "NAME_CONSTRAINT",
			x509.IncompatibleUsage:          "INCOMPATIBLE_USAGE",
			x509.NotAuthorizedToSign:        "NOT_AN_AUTHORITY",
			x509.TooManyIntermediates:       "PATH_TOO_LONG",
		}[invalid.Reason]
	}
	return answer{Kind: kind, Message: err.Error()}
}

func certificates(data []byte) []*x509.Certificate {
	var found []*x509.Certificate
	for {
		var one *pem.Block
		one, data = pem.Decode(data)
		if one == nil {
			return found
		}
		if one.Type != "CERTIFICATE" || len(one.Headers) != 0 {
			continue
		}
		if certificate, err := x509.ParseCertificate(one.Bytes); err == nil {
			found = append(found, certificate)
		}
	}
}

func blocks(data []byte) []block {
	found := []block{}
	for {
		var one *pem.Block
		one, data = pem.Decode(data)
		if one == nil {
			return found
		}
		sum := sha256.Sum256(one.Bytes)
		found = append(found, block{one.Type, hex.EncodeToString(sum[:]), len(one.Headers) > 0})
	}
}

// keeps tells whether the rule of OLM 0.29.0 and later keeps a Secret: the first block of each entry alone counts,
// both must be current for another day, and the leaf must verify for every host with the CA as the only root.
func keeps(question secretCase) bool {
	authority, leaf := first(question.Authority), first(question.Certificate)
	if authority == nil || leaf == nil {
		return false
	}
	for _, one := range []*x509.Certificate{authority, leaf} {
		inside := question.Now.After(one.NotBefore) && question.Now.Before(one.NotAfter)
		if !inside || question.Now.After(one.NotAfter.Add(-24*time.Hour)) {
			return false
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	for _, host := range question.Hosts {
		options := x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: question.Now}
		if _, err := leaf.Verify(options); err != nil {
			return false
		}
	}
	return true
}

func first(data []byte) *x509.Certificate {
	one, _ := pem.Decode(data)
	if one == nil {
		return nil
	}
	certificate, err := x509.ParseCertificate(one.Bytes)
	if err != nil {
		return nil
	}
	return certificate
}

type pairCase struct {
	Certificate []byte `json:"certificate"`
	Key         []byte `json:"key"`
}

// pairs tells whether a server can load a certificate with a key.
func pairs(question pairCase) bool {
	_, err := tls.X509KeyPair(question.Certificate, question.Key)
	return err == nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
