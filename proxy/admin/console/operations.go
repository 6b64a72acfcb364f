package console

import "net/http"

// operations are all operations of the API. The OpenAPI file in docs is compared with them.
var operations = []*operation{
	{Method: "GET", Path: "/api/keys", Response: KeyList{}, show: (*Console).showKeys},
	{Method: "POST", Path: "/api/keys", Body: NewKey{}, Response: Changed{}, status: http.StatusCreated, change: with((*Console).makeKey)},
	{Method: "GET", Path: "/api/keys/{id}", Response: Key{}, show: (*Console).showKey},
	{Method: "POST", Path: "/api/keys/{id}/rotate", Body: Rotation{}, Response: Changed{}, change: with((*Console).rotateKey)},
	{Method: "POST", Path: "/api/keys/{id}/disable", Response: Changed{}, change: of((*Console).disableKey)},
	{Method: "POST", Path: "/api/keys/{id}/enable", Response: Changed{}, change: of((*Console).enableKey)},
	{Method: "POST", Path: "/api/keys/{id}/grant", Body: Grant{}, Response: Changed{}, change: with((*Console).grantKey)},
	{Method: "POST", Path: "/api/keys/{id}/withdraw", Body: Withdrawal{}, Response: Changed{}, change: with((*Console).withdrawKey)},
	{Method: "POST", Path: "/api/keys/{id}/delete", Body: Deletion{}, Response: Changed{}, change: with((*Console).deleteKey)},
	{Method: "GET", Path: "/api/chatflows", Response: ChatflowList{}, show: (*Console).showChatflows},
	{Method: "POST", Path: "/api/chatflows", Body: NewChatflow{}, Response: Changed{}, status: http.StatusCreated, change: with((*Console).addChatflow)},
	{Method: "POST", Path: "/api/chatflows/{id}/public", Response: Changed{}, change: of((*Console).makePublic)},
	{Method: "POST", Path: "/api/chatflows/{id}/private", Body: PrivateChatflow{}, Response: Changed{}, change: with((*Console).makePrivate)},
}
