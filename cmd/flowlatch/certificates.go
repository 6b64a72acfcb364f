package main

import (
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/admin"
	"github.com/flowlatch/flowlatch/proxy/certificate"
)

// openCertificates opens the TLS files, and logs the certificates in them and each reload.
func openCertificates(c *config.Config, log zerolog.Logger) (*certificate.Store, error) {
	store, err := certificate.Open(c.Certificates, certificate.Options{OnReload: func(r certificate.Reload) { logCertificate(log, r) }})
	if err != nil {
		return nil, err
	}
	for _, st := range store.Status() {
		switch left := time.Until(st.NotAfter); {
		case left <= 0:
			describeCertificate(log.Error(), st.Name, st.Info).Msg("certificate has expired; whoever verifies it refuses it")
		case left < admin.ExpiresSoon:
			describeCertificate(log.Warn(), st.Name, st.Info).Msg("certificate expires soon")
		default:
			describeCertificate(log.Info(), st.Name, st.Info).Msg("certificate applied")
		}
	}
	for _, path := range store.Mounted() {
		log.Warn().Str("file", path).Msg("this file is mounted by itself (a single-file volume, or a Kubernetes subPath), so a renewed one never arrives here; mount its directory instead")
	}
	return store, nil
}

func logCertificate(log zerolog.Logger, r certificate.Reload) {
	switch r.Result {
	case keystore.Failed:
		describeCertificate(log.Error().Err(r.Err), r.Name, r.New).Msg("certificate files are invalid; the last good certificate stays active")
	case keystore.Unchanged:
		describeCertificate(log.Info(), r.Name, r.New).Msg("certificate unchanged")
	case keystore.Loaded:
		describeCertificate(log.Info(), r.Name, r.New).
			Strs("old_names", shortened(r.Old.Names)).Strs("old_serials", shortened(r.Old.Serials)).Time("old_not_after", r.Old.NotAfter).
			Msg("certificate applied")
	}
}

func describeCertificate(e *zerolog.Event, name certificate.Name, i certificate.Info) *zerolog.Event {
	return e.Str("certificate", string(name)).Strs("names", shortened(i.Names)).Strs("serials", shortened(i.Serials)).Time("not_after", i.NotAfter)
}

// shortened cuts a list to what fits into a log line, since a bundle may have hundreds of authorities.
func shortened(list []string) []string {
	if len(list) <= maxLogged {
		return list
	}
	return append(list[:maxLogged:maxLogged], fmt.Sprintf("and %d more", len(list)-maxLogged))
}
