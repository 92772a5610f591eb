"""Tables of the leaderboard as data, built once: Markdown pages, web site and reports only write them down."""
