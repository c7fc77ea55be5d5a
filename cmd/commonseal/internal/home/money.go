package home

import (
	"strconv"
	"strings"
	"time"

	"github.com/commonseal/commonseal/ledger"
)

// moneyYAML are the rules of credits.
type moneyYAML struct {
	RewardEpoch time.Duration `yaml:"reward_epoch"`
	Grant       uint64        `yaml:"grant"`
	Bond        uint64        `yaml:"bond"`
	Fee         uint64        `yaml:"fee"`
	Quota       uint32        `yaml:"quota"`
	Price       uint64        `yaml:"price"`
	Escrow      uint64        `yaml:"escrow"`
	Emission    uint64        `yaml:"emission"`
	Halving     uint32        `yaml:"halving"`
	Unstake     time.Duration `yaml:"unstake"`
	Vesting     time.Duration `yaml:"vesting"`
	Cut         string        `yaml:"cut"`
	Evaluate    string        `yaml:"evaluate"`
	Provide     string        `yaml:"provide"`
	Penalty     string        `yaml:"penalty"`
	Smoothing   string        `yaml:"smoothing"`
	Cap         string        `yaml:"cap"`
	Slash       string        `yaml:"slash"`
	Challenge   uint64        `yaml:"challenge"`
	Window      time.Duration `yaml:"window"`
	Sample      string        `yaml:"sample"`
	Releases    uint32        `yaml:"releases"`
}

// MoneyExample is the part of a consortium.yaml that founds credits, with every
// field.
const MoneyExample = `money:                   # without it nothing costs and nothing is paid
  reward_epoch: 24h      # rankings are committed in one, revealed in the next, then paid
  grant: 1000000         # credits of each founding member, to spend
  bond: 100000           # and staked: weighs its rankings, is lost by who is proved wrong
  fee: 1                 # of a transaction, for each KiB it begins
  quota: 3000            # transactions of a member in a minute
  price: 1               # of an answer, paid in advance by who admits a querier
  escrow: 10000          # of a company's rows in a task: pays for rows that harm
  emission: 1000000      # credits made in a reward epoch
  halving: 365           # reward epochs after which it is half
  unstake: 168h          # from unstaking to spending
  vesting: 168h          # from earning with data to spending
  cut: 10%               # of a pot, to nodes and validators
  evaluate: 50%          # of the rest, to companies that rank models
  provide: 50%           # of what models earn, to the companies whose rows made them
  penalty: 100%          # how much of a weight beyond consensus earns nothing
  smoothing: 10%         # what an epoch adds to the moving average of bonds
  cap: 49%               # of the stake that ranks, what one owner's counts at most
  slash: 10%             # of a stake, lost by who is proved wrong
  challenge: 1000        # bond of who challenges a step
  window: 168h           # in which a step may be challenged
  sample: 20%            # of a job's steps, evaluated again by those who check
  releases: 1            # of values of a task's rows in a reward epoch; further jobs train without
`

// into checks the rules and makes them the genesis's.
func (m *moneyYAML) into(name string, g *ledger.Genesis, p *Problems) {
	part := func(field, text string) uint32 {
		x, ok := parsePart(text)
		if !ok {
			p.add(name, "money: "+field, "%q is no part; give 0%% to 100%%, with four places at most", text)
		}
		return x
	}
	g.RewardEpoch = m.RewardEpoch.Milliseconds()
	if m.RewardEpoch < 0 || m.RewardEpoch > 0 && m.RewardEpoch < time.Second {
		p.add(name, "money: reward_epoch", "%v; give 1s at least, or leave it out for 24h", m.RewardEpoch)
	}
	g.Money = ledger.Money{Grant: m.Grant, Bond: m.Bond, Fee: m.Fee, Quota: m.Quota, Price: m.Price, Escrow: m.Escrow, Emission: m.Emission,
		Halving: m.Halving, Unstake: m.Unstake.Milliseconds(), Vesting: m.Vesting.Milliseconds(), Challenge: m.Challenge, Window: m.Window.Milliseconds(), Releases: m.Releases,
		Cut: part("cut", m.Cut), Evaluate: part("evaluate", m.Evaluate), Provide: part("provide", m.Provide), Penalty: part("penalty", m.Penalty),
		Smoothing: part("smoothing", m.Smoothing), Cap: part("cap", m.Cap), Slash: part("slash", m.Slash), Sample: part("sample", m.Sample)}
	if err := g.Money.Check(); err != nil {
		p.add(name, "money", "%v", err)
	}
}

// parsePart reads a percentage exactly, into millionths. None is zero.
func parsePart(text string) (millionths uint32, ok bool) {
	if text == "" {
		return 0, true
	}
	number, ok := strings.CutSuffix(text, "%")
	whole, places, _ := strings.Cut(strings.TrimSpace(number), ".")
	if !ok || len(whole) > 3 || len(places) > 4 {
		return 0, false
	}
	x, err := strconv.ParseUint(whole+(places + "0000")[:4], 10, 32)
	return uint32(x), err == nil && x <= ledger.Million
}
