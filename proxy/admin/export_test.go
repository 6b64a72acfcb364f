package admin

import "time"

// FillHours makes up an hour of keys and chatflows.
func (a *Admin) FillHours(keys, chatflows []string, number func() uint32) {
	for h, ids := range map[*hours][]string{&a.keyHours: keys, &a.chatflowHours: chatflows} {
		h.sample(time.Now(), counted{}.each)
		h.mu.Lock()
		for _, id := range ids {
			one := &hour{}
			for i := range one.slots {
				one.slots[i] = hourSlot{number(), number(), number(), number()}
			}
			h.byID[id] = one
		}
		h.mu.Unlock()
	}
}
