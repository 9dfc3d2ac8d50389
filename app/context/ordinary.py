"""Words of everyday speech, which are seldom meant as a name even where a service has that name."""

_SAID = """
a about access alert alerts all analytics and api apis app apps are at background base be by can code
common config core cron data database debug default demo deploy design do docs down edge email engine
error errors events for from frontend general get go health help home i if in infra into is issues it
jobs launch list live logging logs mail main me media messages metrics mobile model monitor monitoring
my network new no not notes of off on one open or our output page people plan platform please point
policy print process product production profile project proxy public query questions queue read release
report reports request requests review run search security server service services setup share show
signal so staging standard start status stop storage store stream support system table tasks team test
tests the this time to tools trace tracking traffic up update us use user users version video view watch
we web what when who why with work worker workers you
"""
_MISTAKEN = """
account action after again alerting answer answers auth back backend backup batch been before being
billing boarding borders build builds cache call called calls catalog catalogue change changed changes
chart check checked checking checks client clients close cluster company complete contract contracts
control cost could count create customer customers dashboard dashboards depend depends deployed
deploying deployment deploys detail details different doing domain each early emails event every exactly
example export external field fields files find first fix forms friend front gateway give goes going
group groups hand here house image images import index ingest input inventory invite issue item items
just keep know large last latency launched launching least level like limit limits load local login look
looks made maker manage market means message might models most move much names need needs never next
note notice notify number numbers offer offers often once online only order ordering orders other over
owner owners paged pages parent part partner parts person place plans points portal post posts price
prices pricing products profiles projects question queues quick quote rate rates rating ratings reader
really receive record records region releases remove reporting response rest result results retry return
returns reviews right risk role root route router routes rule rules runbook runbooks running sales same
save scale schedule scheduler searches second secret section send sending series servers session
sessions setting settings shall shared shift shipping should showing shows sign simple since site slack
slow small some source spend split stack staff stage stand standards started state states still stock
stored stores story streams style such sure switch systems tables take target task teach teams tell
tenant term tested testing than thank thanks that their them then there these they thing things think
those through ticket tickets tier tiers timeout timer times title today token tokens tomorrow tool topic
total traces track trail train trial turn type types under until updated updates upgrade upload usage
used uses using usual value values very views want wants was week well were where which while whole will
within without word worked working works world would write wrong year yesterday your
"""

SAID = frozenset(_SAID.split())
"""Words people say to an agent without thinking of a service: as a name they decide last."""

ORDINARY = SAID | frozenset(_MISTAKEN.split())
"""Words that are never a misspelled name: many are one letter away from what services are called."""
