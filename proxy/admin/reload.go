package admin

import (
	"net/http"
	"slices"

	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/proxy/certificate"
	"github.com/flowlatch/flowlatch/proxy/token"
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
	// BrowserSecrets is the reload of the secrets of browser tokens, if they are in a file.
	BrowserSecrets *secretsReload `json:"browser_secrets,omitempty"`
}

// certificateReload is one reload of a certificate.
type certificateReload struct {
	Certificate certificate.Name `json:"certificate"`
	Result      keystore.Result  `json:"result"`
	Error       string           `json:"error,omitempty"`
	certificate.Info
}

// secretsReload is one reload of the secrets of browser tokens.
type secretsReload struct {
	token.Reload
	Error string `json:"error,omitempty"`
}

func (a *Admin) serveReload(w http.ResponseWriter, _ *http.Request) {
	r, certificates := a.opts.Store.Reload(), a.opts.Certificates.Reload()
	secrets, fromFile := a.opts.Tokens.Reload()
	status := http.StatusOK
	if r.Result == keystore.Failed || secrets.Result == keystore.Failed || slices.ContainsFunc(certificates, func(c certificate.Reload) bool { return c.Result == keystore.Failed }) {
		status = http.StatusUnprocessableEntity
	}
	response := reloadResponse{ReloadStatus: reloadStatus(r), Certificates: certificateReloads(certificates)}
	if fromFile {
		response.BrowserSecrets = &secretsReload{secrets, reason(secrets.Err)}
	}
	writeJSON(w, status, response)
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
