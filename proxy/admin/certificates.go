package admin

import (
	"time"

	"github.com/flowlatch/flowlatch/proxy/certificate"
)

// CertificateStatus is one certificate that TLS is spoken with.
type CertificateStatus struct {
	Certificate certificate.Name `json:"certificate"`
	Names       []string         `json:"names"`
	Serials     []string         `json:"serials"`
	NotAfter    time.Time        `json:"not_after"`
	// Stale says that the files are not what is in force, and Fault why.
	Stale bool   `json:"stale"`
	Fault string `json:"fault,omitempty"`
}

func certificateStatus(all []certificate.Status) (list []CertificateStatus) {
	for _, st := range all {
		s := CertificateStatus{Certificate: st.Name, Names: st.Names, Serials: st.Serials, NotAfter: st.NotAfter, Stale: st.Err != nil}
		if st.Err != nil {
			s.Fault = st.Err.Error()
		}
		list = append(list, s)
	}
	return list
}

// reloadResponse is what `POST /-/reload` is answered: what became of the key file, and of the certificates.
type reloadResponse struct {
	ReloadStatus
	Certificates []certificateReload `json:"certificates,omitempty"`
}

// certificateReload is one reload of a certificate.
type certificateReload struct {
	Certificate certificate.Name   `json:"certificate"`
	Result      certificate.Result `json:"result"`
	Error       string             `json:"error,omitempty"`
	Names       []string           `json:"names"`
	Serials     []string           `json:"serials"`
	NotAfter    time.Time          `json:"not_after"`
}

func certificateReloads(all []certificate.Reload) (list []certificateReload) {
	for _, r := range all {
		c := certificateReload{Certificate: r.Name, Result: r.Result, Names: r.New.Names, Serials: r.New.Serials, NotAfter: r.New.NotAfter}
		if r.Err != nil {
			c.Error = r.Err.Error()
		}
		list = append(list, c)
	}
	return list
}
