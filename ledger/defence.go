package ledger

// A defence is what one attack fails at. Attack tests switch one off, and see
// that the attack works without it.
type defence uint8

const (
	seenSet        defence = iota + 1 // a transaction counts once
	onceAC1                           // a c1 has one ticket, for ever
	ownersCount                       // two nodes of one owner are one voice
	livingNodes                       // a revoked node has no voice
	livingVotes                       // a revoked company's votes are void
	provenKey                         // who asks to join signs with the key it registers
	joinRoom                          // requests to join give way to later ones
	retiredKeys                       // a TLS key that was revoked or replaced is nobody's again
	majorityKeys                      // a roster is of a majority of the companies' owners
	boundHeld                         // a node's word is about one company's rows of one task
	headersAlone                      // a second signature of the same words is not another record
	wholeUpdates                      // each update that a step takes, once, in order
	equalAcks                         // a ceremony ends when all have the same keys
	ownTaskUsage                      // a node counts answers of models it is a node of
	currentKeys                       // keys that were replaced begin nothing
	sentQuota                         // a sender has so many transactions a minute
	sealedRanks                       // a ranking is what was committed to
	livingStake                       // a ranking weighs what is still staked when it counts
	someoneSigns                      // the last validator cannot be removed
	presentPower                      // who was admitted signs once it says that it is there
	provenPeer                        // who announces a peer key has it
	equivocatorsGo                    // who signed twice never signs again
	epochBudget                       // a task's rows are valued so often an epoch
	signedOpenings                    // values are opened with the companies' own shares
	coarseValues                      // values are recorded rounded
	inOrder                           // a task's epochs are settled one after the other
	gameFirst                         // models are paid when their challenges are over
	openedInTime                      // no settlement waits for values opened after its rankings
)

// on says whether a defence is up.
func (s *state) on(d defence) bool { return s.off != d }
