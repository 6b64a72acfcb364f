package admin

import (
	"net/http"
	"slices"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/certificate"
)

// ReloadStatus is one reload of the key file.
type ReloadStatus struct {
	keystore.Reload
	Error string `json:"error,omitempty"`
}

// reloadResponse is the response to `POST /-/reload`.
type reloadResponse struct {
	ReloadStatus
	Certificates []certificateReload `json:"certificates,omitempty"`
	// BrowserSecrets are those of browser tokens, if a file has them.
	BrowserSecrets *secretsReload `json:"browser_secrets,omitempty"`
}

// certificateReload is one reload of a certificate.
type certificateReload struct {
	Certificate certificate.Name `json:"certificate"`
	Result      keystore.Result  `json:"result"`
	Error       string           `json:"error,omitempty"`
	certificate.Info
}

func (a *Admin) serveReload(w http.ResponseWriter, _ *http.Request) {
	r, certificates := a.opts.Store.Reload(), a.opts.Certificates.Reload()
	secrets := a.reloadSecrets()
	status := http.StatusOK
	if r.Result == keystore.Failed || secrets.failed() || slices.ContainsFunc(certificates, func(c certificate.Reload) bool { return c.Result == keystore.Failed }) {
		status = http.StatusUnprocessableEntity
	}
	writeJSON(w, status, reloadResponse{reloadStatus(r), certificateReloads(certificates), secrets})
}

func reloadStatus(r keystore.Reload) ReloadStatus {
	r.Time = r.Time.UTC()
	return ReloadStatus{r, reason(r.Err)}
}

func certificateReloads(all []certificate.Reload) (list []certificateReload) {
	for _, r := range all {
		list = append(list, certificateReload{r.Name, r.Result, reason(r.Err), r.New})
	}
	return list
}
