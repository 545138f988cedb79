"""The Templates browser, as an artist opens it: what works at once stands first, each with its picture."""

CARDS = """() => [...document.querySelectorAll('[data-testid^="template-workflow-"]')].map(
  (card) => [card.dataset.testid.slice(18), [...card.querySelectorAll('img')].some((picture) => picture.naturalWidth)]
)"""


def test_what_works_at_once_stands_first(page, server):
    page.get_by_text("Templates", exact=True).first.click()
    page.get_by_text(server.folder, exact=True).last.click()
    page.wait_for_selector("text=01 Talking portrait (no download)")
    page.wait_for_timeout(1500)
    cards = page.evaluate(CARDS)
    page.keyboard.press("Escape")
    names = [name for name, _ in cards]
    assert names == sorted(names) and names[0].startswith("01 ") and len(names) == 24, names
    assert all(shown for _, shown in cards[:4]), cards
