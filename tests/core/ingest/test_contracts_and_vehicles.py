"""Contracts, vehicles and attributes: read by name or declaration, judged row by row, opened."""

import json
from typing import get_args

import polars as pl
import pytest
from core.ingest.rows_with_faults import GOOD, HEADER, reasons, refusal
from core.ingest.shops import NOW, Shop

from oferta.columns import CONTRACT_STATUSES, REPAYMENTS, TABLES
from oferta.errors import SettingsInvalid
from oferta.terms.quote import Kind

CONTRACTS = "contract_id,customer_id,product_id,vehicle_id,starts_at,ends_at,status\n"
VEHICLES = "vehicle_id,customer_id,body,registered_at,mileage_km\n"
ATTRIBUTES = "customer_id,name,value,source,observed_at\n"
EVENTS = {"events.csv": HEADER + GOOD}


def test_a_source_without_them_has_none(shop: Shop):
    shop.ingest(EVENTS)
    dataset = shop.dataset()
    assert (dataset.contracts(), dataset.vehicles(), dataset.attributes()) == (None, None, None)


def test_they_are_found_by_name_and_have_their_columns_in_order(shop: Shop):
    shop.ingest(
        {
            **EVENTS,
            "contracts.csv": CONTRACTS + "k1,c1,p1,v1,2024-01-01,2027-01-01,active\n",
            "vehicles.ndjson": json.dumps({"vehicle_id": 7, "customer_id": "c1", "colour": "red"}),
            "attributes.csv": ATTRIBUTES + "c1,income,3000,crm,2025-01-01\n",
        }
    )
    dataset = shop.dataset()
    frames = {
        "contracts": dataset.contracts(),
        "vehicles": dataset.vehicles(),
        "attributes": dataset.attributes(),
    }
    for name, frame in frames.items():
        assert frame is not None
        schema = frame.collect_schema()
        known = TABLES[name].schema()
        assert {column: schema[column] for column in known} == dict(known)
        assert list(schema)[: len(known)] == list(known)
    assert frames["vehicles"].collect()["vehicle_id"].to_list() == ["7"]
    assert frames["vehicles"].collect()["colour"].to_list() == ["red"]


def test_they_are_found_by_declaration_with_foreign_names_and_words(shop: Shop):
    toml = """
        [contracts]
        file = "Vertraege.csv"
        delimiter = ";"
        decimal = ","
        time_format = "%d.%m.%Y"
        [contracts.columns]
        contract_id = "Nr"
        customer_id = "Kunde"
        product_id = "Produkt"
        starts_at = "Beginn"
        amount = "Betrag"
        status = "Stand"
        [contracts.words.status]
        laufend = "active"
        [contracts.constants]
        repayment = "Rate"
        [contracts.words.repayment]
        Rate = "equal_instalment"
    """
    rows = (
        "Nr;Kunde;Produkt;Beginn;Betrag;Stand\n0001;c1;p1;01.02.2024;12.500,50;laufend\n"
        "0002;c1;p1;01.02.2024;1;settled\n"
    )
    report = shop.ingest({**EVENTS, "source.toml": toml, "Vertraege.csv": rows})
    contracts = shop.dataset().contracts()
    assert contracts is not None
    first, second = contracts.collect().to_dicts()
    assert (first["contract_id"], first["amount"], first["status"]) == ("0001", 12500.5, "active")
    assert first["repayment"] == "equal_instalment"
    assert second["status"] == "settled"
    assert not report.warnings


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (",c1,p1,,2024-01-01,,", "id.empty"),
        ("k,,p1,,2024-01-01,,", "id.empty"),
        ("k,c1,,,2024-01-01,,", "id.empty"),
        ("k,c1,p1,..,2024-01-01,,", "id.dots"),
        ("k,c1,p1,,,,", "time.missing"),
        ("k,c1,p1,,1970-01-20,,", "time.range"),
        ("k,c1,p1,,2024-01-01,2024-01-01,", "dates.order"),
        ("k,c1,p1,,2024-01-01,2023-01-01,", "dates.order"),
    ],
)
def test_a_contract_that_cannot_be_is_rejected(shop: Shop, cells: str, reason: str):
    assert reasons(shop, cells + "\n", header=CONTRACTS, table="contracts") == {1: reason}


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("amount", "-1", "amount.negative"),
        ("instalment", "-0.01", "amount.negative"),
        ("final_amount", "-5", "amount.negative"),
        ("payoff", "-5", "amount.negative"),
        ("rate", "-1", "rate.range"),
        ("rate", "490", "rate.range"),
        ("term_months", "0", "term.range"),
        ("term_months", "601", "term.range"),
        ("days_in_arrears", "-1", "arrears.negative"),
        ("as_of", "2026-04-01", "time.future"),
        ("final_due", "2023-04-01", "dates.order"),
        ("amount", "much", "number.unparsable"),
    ],
)
def test_a_contract_with_a_figure_that_cannot_be_is_rejected(
    shop: Shop, column: str, cell: str, reason: str
):
    header = f"contract_id,customer_id,product_id,starts_at,{column}\n"
    rows = f"k,c1,p1,2024-01-01,{cell}\n"
    assert reasons(shop, rows, header=header, table="contracts") == {1: reason}


@pytest.mark.parametrize(
    ("column", "cell"),
    [("rate", "0"), ("amount", "0"), ("term_months", "600"), ("as_of", "2026-03-01 12:04:00")],
)
def test_a_contract_at_the_border_is_kept(shop: Shop, column: str, cell: str):
    header = f"contract_id,customer_id,product_id,starts_at,{column}\n"
    rows = f"k,c1,p1,2024-01-01,{cell}\n"
    assert reasons(shop, rows, header=header, table="contracts") == {}


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("vehicle_id", "", "id.empty"),
        ("customer_id", "..", "id.dots"),
        ("price", "-1", "amount.negative"),
        ("market_value", "-1", "amount.negative"),
        ("mileage_km", "-1", "mileage.negative"),
        ("mileage_plan_km_year", "-1", "mileage.negative"),
        ("mileage_at", "2026-03-02", "time.future"),
        ("valued_at", "2026-03-02", "time.future"),
        ("registered_at", "1885-01-01", "time.range"),
        ("registered_at", "1970-01-20", "time.range"),
    ],
)
def test_a_vehicle_that_cannot_be_is_rejected(shop: Shop, column: str, cell: str, reason: str):
    cells = {"vehicle_id": "v", "customer_id": "c1", column: cell}
    header, row = ",".join(cells) + "\n", ",".join(cells.values()) + "\n"
    assert reasons(shop, row, header=header, table="vehicles") == {1: reason}


def test_a_classic_car_is_a_car(shop: Shop):
    rows = "v,c1,saloon,1965-05-01,90000\n"
    assert reasons(shop, rows, header=VEHICLES, table="vehicles") == {}


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (",income,1,crm,2025-01-01", "id.empty"),
        ("c1,,1,crm,2025-01-01", "attribute.name"),
        ("c1,income,,crm,2025-01-01", "attribute.value"),
        ("c1,income,1,crm,", "time.missing"),
        ("c1,income,1,crm,2027-01-01", "time.future"),
    ],
)
def test_an_attribute_that_says_nothing_is_rejected(shop: Shop, cells: str, reason: str):
    assert reasons(shop, cells + "\n", header=ATTRIBUTES, table="attributes") == {1: reason}


def test_rows_of_customers_and_products_that_are_nobodys_are_rejected(shop: Shop):
    shop.ingest(
        {
            **EVENTS,
            "customers.csv": "customer_id\nc1\n",
            "products.csv": "product_id\np1\n",
            "contracts.csv": CONTRACTS
            + "k1,c1,p1,,2024-01-01,,\nk2,nobody,p1,,2024-01-01,,\nk3,c1,nothing,,2024-01-01,,\n",
            "vehicles.csv": VEHICLES + "v1,nobody,suv,2024-01-01,5\nv2,c1,suv,2024-01-01,5\n",
            "attributes.csv": ATTRIBUTES
            + "nobody,income,1,crm,2025-01-01\nc1,income,1,crm,2025-01-01\n",
        },
        max_rejected=1.0,
    )
    dataset = shop.dataset()
    found = {}
    for table in ("contracts", "vehicles", "attributes"):
        rejected = dataset.rejected(table)
        assert rejected is not None
        rows = rejected.select("rejected_row", "rejected_reason").collect()
        found[table] = dict(rows.iter_rows())
    assert found == {
        "contracts": {2: "customer.unknown", 3: "product.unknown"},
        "vehicles": {1: "customer.unknown"},
        "attributes": {1: "customer.unknown"},
    }


def test_customers_and_products_of_contracts_are_known_where_there_is_no_table(shop: Shop):
    shop.ingest(
        {
            **EVENTS,
            "contracts.csv": CONTRACTS + "k1,c2,p2,,2024-01-01,,\n",
            "vehicles.csv": VEHICLES + "v1,c3,suv,2024-01-01,5\n",
            "attributes.csv": ATTRIBUTES + "c4,income,1,crm,2025-01-01\n",
        }
    )
    dataset = shop.dataset()
    customers = dataset.customers().collect()["customer_id"].to_list()
    assert customers == ["c1", "c2", "c3", "c4"]
    assert dataset.products().collect()["product_id"].to_list() == ["p1", "p2"]


def test_a_contract_of_an_unknown_or_foreign_vehicle_is_kept_with_a_warning(shop: Shop):
    report = shop.ingest(
        {
            **EVENTS,
            "contracts.csv": CONTRACTS
            + "k1,c1,p1,v1,2024-01-01,,\nk2,c1,p1,v9,2024-01-01,,\nk3,c2,p1,v1,2024-01-01,,\n",
            "vehicles.csv": VEHICLES + "v1,c1,suv,2024-01-01,5\n",
        }
    )
    assert report.tables["contracts"].accepted == 3
    assert report.warnings == (
        "1 contracts have a vehicle that is not in the vehicles table",
        "1 contracts have a vehicle that is another customer's",
    )


def test_an_unknown_word_is_kept_with_a_warning_that_names_the_nearest(shop: Shop):
    report = shop.ingest(
        {
            **EVENTS,
            "contracts.csv": CONTRACTS
            + "k1,c1,p1,,2024-01-01,,Activ\nk2,c1,p1,,2024-01-01,,ended\n",
        }
    )
    (warning,) = report.warnings
    assert "1 rows have the status 'Activ'" in warning
    assert "did you mean 'active'?" in warning
    contracts = shop.dataset().contracts()
    assert contracts is not None
    assert contracts.collect()["status"].to_list() == ["Activ", "ended"]


def test_the_words_of_repayment_are_the_kinds_of_terms():
    assert get_args(Kind) == REPAYMENTS
    assert "arrears" in CONTRACT_STATUSES


def test_a_contract_said_twice_is_kept_once_and_one_that_changed_is_refused(shop: Shop):
    rows = (
        "k1,c1,p1,,2024-01-01,,\nk1,c1,p1,,2024-01-01,,\n"
        "k2,c1,p1,,2024-01-01,,\nk2,c1,p1,,2024-02-01,,\n"
    )
    found = reasons(shop, rows, header=CONTRACTS, table="contracts")
    assert found == {3: "duplicate.conflict", 4: "duplicate.conflict"}


def test_ids_of_contracts_and_vehicles_never_pass_through_a_float(shop: Shop):
    frame = pl.DataFrame({"vehicle_id": [1.0], "customer_id": ["c1"]})
    frame.write_parquet(shop.source / "vehicles.parquet")
    assert refusal(shop, EVENTS)[0] == "id.float"


def test_half_an_export_of_contracts_is_refused(shop: Shop):
    rows = "".join(f"k{n},c1,p1,,2024-01-01,,\n" for n in range(10))
    shop.ingest({**EVENTS, "contracts.csv": CONTRACTS + rows})
    (shop.source / "contracts.csv").unlink()
    assert refusal(shop, {}, replace=True)[0] == "shrink"
    shop.ingest({}, replace=True, accept_shrink=True)


def test_a_dataset_of_before_these_tables_opens_and_is_still_the_same_source(shop: Shop):
    report = shop.ingest(EVENTS)
    path = shop.out / "dataset.json"
    manifest = json.loads(path.read_text())
    for entry in manifest["event_types"]:
        del entry["like"]
    path.write_text(json.dumps(manifest))
    again = shop.ingest({})
    assert again.unchanged
    assert again.manifest.source_fingerprint == report.manifest.source_fingerprint
    assert shop.dataset().event_types["purchase"].like == "purchase"


class TestDeclaredAttributes:
    HEADER = "customer_id,product_id,event_type,timestamp,Betrag,Monate\n"
    TOML = """
        [events]
        decimal = ","
        [events.attributes.wished_amount]
        column = "Betrag"
        type = "number"
        [events.attributes.code]
        column = "Monate"
        type = "text"
    """

    def test_they_have_the_name_and_the_type_that_were_stated(self, shop: Shop):
        rows = 'c,p,calculator,2024-05-01,"12.000,50",012\nc,p,calculator,2024-05-02,,13\n'
        events = shop.events({"events.csv": self.HEADER + rows, "source.toml": self.TOML})
        assert [event["wished_amount"] for event in events] == [12000.5, None]
        assert [event["code"] for event in events] == ["012", "13"]
        assert "Betrag" not in events[0]

    def test_a_cell_that_cannot_be_read_rejects_its_row_with_its_own_cells(self, shop: Shop):
        rows = "c,p,calculator,2024-05-01,viel,1\nc,p,calculator,2024-05-01,2,1\n"
        found = reasons(shop, rows, header=self.HEADER, toml=self.TOML)
        assert found == {1: "number.unparsable"}
        rejected = shop.dataset().rejected("events")
        assert rejected is not None
        assert rejected.collect()["Betrag"].to_list() == ["viel"]

    def test_a_row_rejected_beside_others_keeps_its_own_cells(self, shop: Shop):
        rows = "c,p,calculator,2024-05-01,7,1\nnobody,p,calculator,2024-05-01,8,1\n"
        files = {"events.csv": self.HEADER + rows, "source.toml": self.TOML}
        shop.ingest({**files, "customers.csv": "customer_id\nc\n"}, max_rejected=1.0)
        rejected = shop.dataset().rejected("events")
        assert rejected is not None
        (row,) = rejected.collect().to_dicts()
        assert (row["rejected_reason"], row["Betrag"]) == ("customer.unknown", "8.0")

    @pytest.mark.parametrize(
        ("kind", "cell", "value"),
        [
            ("integer", "48", 48),
            ("boolean", "yes", True),
            ("date", "2024-05-01", "2024-05-01"),
            ("text", "1", "1"),
        ],
    )
    def test_every_type_is_read_as_columns_of_ours_are(
        self, shop: Shop, kind: str, cell: str, value: object
    ):
        toml = f'[events.attributes.it]\ncolumn = "Betrag"\ntype = "{kind}"\n'
        (event,) = shop.events(
            {"events.csv": self.HEADER + f"c,p,view,2024-05-01,{cell},\n", "source.toml": toml}
        )
        assert (str(event["it"]) if kind == "date" else event["it"]) == value

    def test_a_column_that_is_not_there_is_named_with_the_nearest(self, shop: Shop):
        toml = '[events.attributes.wished_amount]\ncolumn = "Betrog"\n'
        code, message = refusal(
            shop, {"events.csv": self.HEADER + "c,p,view,2024-05-01,1,1\n", "source.toml": toml}
        )
        assert code == "columns.missing"
        assert "did you mean 'Betrag'?" in message

    @pytest.mark.parametrize(
        "toml",
        [
            '[events.attributes.customer_id]\ncolumn = "Betrag"\n',
            '[events.attributes.x]\ntype = "money"\n',
            '[events.attributes."__x"]\ncolumn = "Betrag"\n',
            '[events.words.value]\na = "b"\n',
            '[events.words.chanel]\na = "b"\n',
        ],
    )
    def test_a_declaration_that_means_nothing_is_refused(self, shop: Shop, toml: str):
        with pytest.raises(SettingsInvalid):
            shop.ingest({**EVENTS, "source.toml": toml})

    def test_wishes_that_are_no_numbers_are_warned_of(self, shop: Shop):
        header = HEADER.strip() + ",wished_amount\n"
        report = shop.ingest({"events.csv": header + GOOD.strip() + ",a lot\n"})
        (warning,) = [one for one in report.warnings if "wished_amount" in one]
        assert 'type = "number"' in warning
        assert report.manifest.created_at == NOW
