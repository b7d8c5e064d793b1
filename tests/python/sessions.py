"""Sessions of a client that is killed in the end: `python sessions.py URL FIRST COUNT` opens so many at once, checks the
answers of each, closes every other one, says `done`, and waits."""

import sys
import threading

from harness import PATIENCE, connect, fetch

# The sales that `sessions.py` asks about: each store has every STORESth of them.
SALES, STORES = 100_000, 1000
BY_STORE = "select count(*) as n, sum(sale_id) as s from raw_shop.sales where store = ?"


def session(url, number, ready):
    connection = connect(url)
    assert fetch(connection, "select current_user as u").num_rows == 1
    # All are logged in before any goes on.
    ready.wait(PATIENCE)
    store = number % STORES
    sales = range(store, SALES, STORES)
    with connection.cursor() as cursor:
        cursor.adbc_prepare(BY_STORE)
        for _ in range(3):
            cursor.execute(BY_STORE, [store])
            assert cursor.fetchall() == [(len(sales), sum(sales))]
    rows = fetch(connection, f"select sale_id, {number} as n from raw_shop.sales where store = {store} order by sale_id")
    assert rows.column("sale_id").to_pylist() == list(sales)
    assert set(rows.column("n").to_pylist()) == {number}
    if number % 2:
        connection.close()
        return None
    left = connection.cursor()
    left.adbc_prepare(BY_STORE)
    return connection, left


def main(url, first, count):
    ready, left, failed = threading.Barrier(count), [], []

    def run(number):
        try:
            left.append(session(url, number, ready))
        except BaseException as error:
            failed.append(f"session {number}: {error!r}")
            ready.abort()

    threads = [threading.Thread(target=run, args=(first + number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(failed[0] if failed else "done", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
