"""Times as texts, in UTC."""
import datetime


def now():
    return text(datetime.datetime.now(datetime.timezone.utc))


def after(before):
    """Now, or just after another time: no two versions of an item have the same."""
    least = datetime.datetime.fromisoformat(before.replace("Z", "+00:00")) + datetime.timedelta(milliseconds=1)
    return max(now(), text(least))


def text(moment):
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
