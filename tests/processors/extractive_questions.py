"""Questions to the documents of this repository, as somebody would ask who has not read them.

They were written before the processor was, whose weights were chosen on questions to other texts. Of each answerable
one: parts of the sentences of which one has to be quoted, whatever line breaks stand in them.
"""

ANSWERABLE: dict[str, tuple[str, ...]] = {
    # examples/handbook
    "How many days may I keep a borrowed tool?": ("A tool is lent for seven days",),
    "Can I get more time with a tool?": ("The loan can be extended once",),
    "What do I pay if I bring something back too late?": ("Each day after the last one costs two euros",),
    "How long may I have the machines marked in red?": ("go out for three days only",),
    "What happens if I haven't returned a tool after two weeks?": ("After two weeks we write a letter",),
    "Is there a limit on late fees?": ("The fee for a late return is never higher than the deposit",),
    "Who pays when a tool wears out?": ("wear is ours to pay",),
    "What is done with a drill whose cable is damaged?": ("A tool with a damaged cable is out of use",),
    "How much is the yearly membership?": ("Membership costs thirty euros a year",),
    "What documents do I need to join?": ("Bring something that shows your name and your address",),
    "Can I become a member without paying?": ("Whoever gives two hours a month",),
    "Where is the library located?": ("old boat shed at Quay Street 12",),
    "Is there access for wheelchair users?": ("The ramp on the water side is for wheelchairs",),
    "When is the desk open on Saturdays?": ("10:00 to 14:00",),
    "Are you open on public holidays?": ("On public holidays, and when the harbour is flooded",),
    "Which tram goes there?": ("Tram 4 stops at the fish market",),
    "How long can I park my car?": ("Cars may stand at the quay for twenty minutes",),
    "What should I wear in the workshop?": ("Wear closed shoes and safety glasses",),
    "Where can I find the fire extinguisher?": ("The extinguisher is to the left of the sink",),
    "What do I do with oily rags?": ("Oily rags go into the metal bin",),
    "How do I stop all machines in an emergency?": ("Press the red button",),
    "Where is the first aid kit?": ("The first-aid box is under the desk",),
    "How much deposit do I leave for the sewing machine?": ("Sewing machine",),
    "On which shelf is the hedge trimmer?": ("Hedge trimmer",),
    "Who has to wear ear protection?": ("They are worn by everybody in the room", "Ear protectors hang"),
    # README.md and docs
    "Which Python version is required?": ("Python 3.11 or later", "Python 3.11+"),
    "How can I change the port the server listens on?": ("Port to listen on",),
    "How do I cancel a run that is streaming?": ("Close the connection to cancel",),
    "How does a client notice that a stream was cut off?": ("A stream without",),
    "Do the empty lines in a stream mean anything?": ("Skip blank lines",),
    "Can I retry a request without running it twice?": ("Send an `Idempotency-Key`",),
    "Where does the server store its files?": (
        "Folder of everything the embedded server keeps",
        "everything, the texts and files of entries too",
    ),
    "How do I back up the SQLite database while it is running?": (
        "A consistent copy, while the server runs",
    ),
    "What is the biggest file I can upload?": (
        "a request, and so a file",
        "Largest request body accepted",
    ),
    "Which user does the container run as?": ("runs as user 10001",),
    "What is the default size of a chunk?": ("by default 1,200",),
    "Does it do OCR on scanned PDFs?": ("there is no OCR",),
    "How often are web pages fetched again?": ("after which URLs and sitemaps are fetched again",),
    "Does the crawler obey robots.txt?": ("`robots.txt` is obeyed",),
    "How can I tell when an uploaded file is ready?": (
        "There are three ways to know when",
        "201 where it was READY or FAILED",
        "(with the `stage` it is at)",
    ),
    "What does the failure code no-text mean?": ("nothing in it, or only images", "fails with `no-text`"),
    "Under what licence is the built-in embedding model?": ("is under the MIT licence",),
    "How do I use another embedding model?": (
        "any OpenAI-compatible `/embeddings` serves",
        "Address of an embedding endpoint",
    ),
    "How many results can one search return?": ("hits of one search",),
    "What does the server do when it receives SIGTERM?": (
        "answers 503 and new work is refused",
        "what still runs is cut",
    ),
    "Which address tells a load balancer that the server is ready?": ("`GET /health/ready` answers 200",),
    "May several servers share one data directory?": ("only one server may use a data directory",),
    "Are secrets or user data written to the log?": ("Neither secrets nor what users send are logged",),
    "How much memory does the server need when idle?": ("The server takes some 120 MB at rest",),
    "What is the longest time that a whole run may take?": ("Seconds that a run may take as a whole",),
}

UNANSWERABLE: tuple[str, ...] = (
    "Who founded the tool library?",
    "What is the phone number of the desk?",
    "Do you lend bicycles?",
    "Can I pay by credit card?",
    "How old must children be to use the workshop?",
    "What is the capital of Australia?",
    "Does the server support MySQL?",
    "How do I set up two-factor authentication?",
    "What colour is the company logo?",
    "How long does it take to bake bread?",
    "Is there a mobile app for iOS?",
    "What is the price of a commercial licence?",
    "Who won the football world cup in 2018?",
    "Can I book a room for a birthday party?",
    "What is the e-mail address of the support team?",
)
