local semver = require "duro.semver"


describe("a version", function()
  it("has three numbers, and perhaps a prerelease and a build", function()
    assert.same({ 1, 20, 3 }, semver.parse("1.20.3"))
    assert.same({ 1, 0, 0, prerelease = { "alpha", "1" } }, semver.parse("1.0.0-alpha.1"))
    assert.same({ 1, 0, 0, prerelease = { "rc" } }, semver.parse("1.0.0-rc+build.5"))
    assert.same({ 1, 0, 0 }, semver.parse("1.0.0+5"))
  end)

  it("is nothing else", function()
    for _, text in ipairs { "", "1", "1.0", "1.0.0.0", "v1.0.0", "01.0.0", "1.0.0-", "1.0.0-a..b", "1.0.0-01",
      "1.0.0+", "1.0.0 ", "1.0.x", "-1.0.0" } do
      assert.is_nil(semver.parse(text), text)
    end
  end)

  it("is ordered as semver.org says", function()
    local ascending = { "0.9.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta",
      "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0", "2.0.0", "10.0.0" }
    for i, a in ipairs(ascending) do
      for j, b in ipairs(ascending) do
        assert.equal(i < j and -1 or i > j and 1 or 0, semver.compare(a, b), a .. " " .. b)
      end
    end
  end)

  it("is not ordered by its build", function()
    assert.equal(0, semver.compare("1.0.0+1", "1.0.0+2"))
  end)
end)
