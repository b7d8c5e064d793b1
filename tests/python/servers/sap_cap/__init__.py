"""SAP's own server for OData V4 (the Cloud Application Programming Model) over a small shop."""

import base64
import shutil
from pathlib import Path

from .. import Server, answers, http, installed, node, npm_install, run

HERE = Path(__file__).parent
USER, PASSWORD = "reader", "vira-3"
BRANDS, PRODUCTS, ORDERS = 40, 2500, 300


def write_model(folder):
    npm_install(folder, HERE / "package.json")
    for part in ("db", "srv"):
        shutil.copytree(HERE / part, folder / part)
    data = folder / "db" / "data"
    data.mkdir()
    brands = [f"B{i},Brand {i}" for i in range(BRANDS)]
    products = [
        f'{i},"Product ""{i}"", längst",B{i % BRANDS},{i}.125,{2**40 + i},{i / 8},{str(i % 10 == 0).lower()},'
        f"2024-01-{i % 28 + 1:02},2024-01-01T00:{i // 60 % 60:02}:{i % 60:02}.000Z"
        for i in range(1, PRODUCTS + 1)
    ]
    orders = [order(i) for i in range(ORDERS)]
    items = [
        f"{orders[i].split(',')[0]},{position},{(i * 7 + position) % PRODUCTS + 1},{position},{i}.{position}5"
        for i in range(ORDERS)
        for position in range(1, i % 4 + 1)
    ]
    tables = {
        "Brands": ["code,name", *brands],
        "Products": ["id,title,brand_code,price,stock,weight,discontinued,launched,modifiedAt", *products],
        "Orders": ["ID,number,placed_at,customer,modifiedAt", *orders],
        "Orders.items": ["up__ID,position,product_id,quantity,amount", *items],
    }
    for name, lines in tables.items():
        (data / f"shop-{name}.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    run(*node(folder / "node_modules/@sap/cds/bin/deploy.js"), cwd=folder)


def order(i):
    key = f"00000000-0000-4000-8000-{i:012}"
    return f"{key},N{i},2024-02-{i % 28 + 1:02}T10:00:00.123456Z,Customer {i % 50},2024-02-01T00:00:00.000Z"


def install():
    files = [HERE / "package.json", HERE / "db/schema.cds", HERE / "srv/shop-service.cds", Path(__file__)]
    return installed("sap_cap", files, write_model, "Installing SAP CAP from npm: about 15 seconds")


class SapCap(Server):
    """OData V4 at `url`, basic authentication, 1,000 rows a page and a relative nextLink."""

    def prepare(self):
        for part in install().iterdir():
            if part.name == "node_modules":
                (self.folder / part.name).symlink_to(part)
            elif part.is_dir():
                shutil.copytree(part, self.folder / part.name)
            else:
                shutil.copy(part, self.folder)

    def command(self):
        return node(self.folder / "node_modules/@sap/cds/bin/serve.js")

    def environment(self):
        return {"PORT": str(self.port), "HOST": "127.0.0.1", "NODE_ENV": "development", "NO_TELEMETRY": "1"}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/odata/v4/shop"

    @property
    def headers(self):
        return {"Authorization": "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}

    def ready(self):
        return answers("GET", f"{self.url}/Brands?$top=1", headers=self.headers)

    def get(self, path):
        return http("GET", f"{self.url}/{path}", headers=self.headers)[0]

    def insert(self, entity, **values):
        return http("POST", f"{self.url}/{entity}", values, self.headers)[0]

    def update(self, entity, key, **values):
        return http("PATCH", f"{self.url}/{entity}({key})", values, self.headers)[0]

    def delete(self, entity, key):
        http("DELETE", f"{self.url}/{entity}({key})", None, self.headers)

    def describe(self):
        return [
            f"service: {self.url}    user: {USER}    password: {PASSWORD}",
            f"entities: Brands ({BRANDS}), Products ({PRODUCTS}), Orders ({ORDERS}, ?$expand=items)",
            f"try: curl -u {USER}:{PASSWORD} '{self.url}/Products?$filter=modifiedAt gt 2024-01-01T00:30:00Z' -G",
        ]
