package ledger

import "fmt"

// String names the state for people.
func (j JobState) String() string {
	if name, ok := map[JobState]string{
		JobOpen: "open", JobApproved: "approved", JobRunning: "running", JobPaused: "paused",
		JobDisputed: "disputed", JobAborted: "aborted", JobDone: "done",
	}[j]; ok {
		return name
	}
	return fmt.Sprintf("state %d", uint8(j))
}
