"""Vendure, a real web shop (GraphQL), with its sample catalogue of 54 products, on a file that sql.js writes."""

import csv
import os
import shutil
from pathlib import Path

from .. import Server, answers, free_port, http, installed, node, npm_install, run

HERE = Path(__file__).parent
USER = PASSWORD = "superadmin"


def fill(folder):
    npm_install(folder, HERE / "package.json")
    shutil.copy(HERE / "server.js", folder)
    samples = folder / "node_modules/@vendure/create/assets"
    with open(samples / "products.csv", newline="", encoding="utf-8") as file:
        rows = [[value.strip() for value in row] for row in csv.reader(file)]
    pictures = [rows[0].index("assets"), rows[0].index("variantAssets")]
    for row in rows[1:]:
        for column in pictures:  # pictures would need an asset server and say nothing here
            row[column] = ""
    with open(folder / "products.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    variables = {"DATABASE": folder / "shop.sqlite", "PRODUCTS": folder / "products.csv", "PORT": free_port()}
    environment = os.environ | {name: str(value) for name, value in variables.items()}
    run(*node(folder / "server.js", "populate"), cwd=folder, env=environment)


def install():
    files = [HERE / "package.json", HERE / "server.js", Path(__file__)]
    return installed("vendure", files, fill, "Installing Vendure from npm and filling a shop: about 90 seconds")


class Vendure(Server):
    """GraphQL at `url`/admin-api (with `headers`) and at `url`/shop-api (anybody)."""

    def prepare(self):
        self.token, self.installed = None, install()
        shutil.copy(self.installed / "shop.sqlite", self.folder)

    def command(self):
        return node(self.installed / "server.js")

    def environment(self):
        return {"PORT": str(self.port), "DATABASE": str(self.folder / "shop.sqlite")}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self):
        return {"Authorization": f"Bearer {self.token}"}

    def ready(self):
        return answers("POST", f"{self.url}/shop-api", body={"query": "{products(options: {take: 1}) {totalItems}}"})

    def start(self):
        super().start()
        login = 'mutation { login(username: "%s", password: "%s", rememberMe: true) { __typename } }' % (USER, PASSWORD)
        _, headers = http("POST", f"{self.url}/admin-api", {"query": login})
        self.token = headers["vendure-auth-token"]

    def query(self, query, **variables):
        """The data of one statement of the admin API."""
        body = {"query": query, "variables": variables}
        answer, _ = http("POST", f"{self.url}/admin-api", body, self.headers)
        if "errors" in answer:
            raise RuntimeError(answer["errors"])
        return answer["data"]

    def products(self):
        """All products: id, name, slug, updatedAt."""
        items, query = [], "query($s: Int!) {products(options: {skip: $s, take: 100, sort: {id: ASC}}) {items {id name slug updatedAt}}}"
        while page := self.query(query, s=len(items))["products"]["items"]:
            items += page
        return items

    def insert(self, name):
        create = "mutation($i: CreateProductInput!) {createProduct(input: $i) {id}}"
        text = {"languageCode": "en", "name": name, "slug": name.lower().replace(" ", "-"), "description": ""}
        return self.query(create, i={"translations": [text]})["createProduct"]["id"]

    def rename(self, id, name):
        update = "mutation($i: UpdateProductInput!) {updateProduct(input: $i) {id}}"
        self.query(update, i={"id": id, "translations": [{"languageCode": "en", "name": name}]})

    def delete(self, id):
        self.query("mutation($id: ID!) {deleteProduct(id: $id) {result}}", id=id)

    def describe(self):
        return [
            f"admin API: {self.url}/admin-api    header: Authorization: Bearer {self.token}    ({USER}/{PASSWORD})",
            f"shop API: {self.url}/shop-api    no authentication",
            f"products: {len(self.products())}",
        ]
