package ledger

// Limits, all of them. They are part of the protocol: a change is a new version.
const (
	MaxName     = 32  // bytes of a name
	MaxOwner    = 64  // bytes of the name of a legal entity
	MaxAddress  = 256 // bytes of host:port
	MaxMembers  = 256 // ever admitted
	MaxPowers   = 128 // validators at a time: a receipt has room for their signatures
	MaxRequests = 256 // to join, that are waiting
	MinParties  = 2   // of a roster
	MaxParties  = 32  // likewise
	MaxNodes    = 16  // aggregators of a task
	MaxColumns  = 256 // of a task, the constant included
	MaxSchema   = 32 << 10
	MaxRows     = 1 << 24 // of a contribution
	MaxBlob     = 64 << 20
	MaxChanges  = 6000 // writes and leaves of a block: what a replica stores in one transaction
	MaxTx       = 64 << 10
	MaxSteps    = 1000 // of a job
	MaxParts    = 512  // of a stage of a ceremony
	MaxStages   = 8    // of a ceremony
	MaxPromise  = 32*(MaxParts+1) + 32
	MaxInline   = 64 // bytes revealed in a transaction
	MaxInputs   = 2*MaxParties + 3
	MaxValued   = 16         // steps of a job at which contributions are valued
	MaxRounds   = 64         // of comparing contributions
	MinNoise    = 6          // of values: the most that a release can add
	MaxNoise    = 64         // likewise: far below the flooding
	MaxEntries  = 256        // of a usage record
	MaxStreams  = 16         // a peer may have open
	MaxQuota    = 1 << 32    // answers of a querier
	MaxReleases = 1 << 20    // of a key epoch, what flooding is made for (law L7)
	MaxExpiry   = 10 * 60000 // ms that a transaction may be ahead of its block

	MaxPatience = 1 << 42 // ms that anything is waited for: no sum of times overflows
	// forgotten is the room a block keeps for what has expired: a transaction adds
	// one record to the seen-set of at least two changes.
	forgotten = MaxChanges / 2

	DefaultPatience = 10 * 60000  // ms that a stage, a step or an approval is waited for
	DefaultEpoch    = 24 * 3600e3 // ms of a reward epoch
)
