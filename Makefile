# The front door: build, demo, test, bench, lint, clean. The work is done by CMake, CTest and busted.
#
# Debian packages that are missing are installed first, and named; on other systems they are only named.
BUILD_PACKAGES = gcc make cmake ninja-build pkg-config|pkgconf libuv1-dev libsqlite3-dev sqlite3 \
  lua5.4 liblua5.4-dev luajit2|luajit libluajit2-5.1-dev|libluajit-5.1-dev
TEST_PACKAGES = lua-busted luarocks lua-luv lua-cjson
LINT_PACKAGES = lua-check clang-format

CMAKE = cmake --log-level=WARNING -DDURO_WERROR=ON -S .
# Ninja for a new build folder; one that exists keeps its generator.
generator = $(if $(wildcard $(1)/CMakeCache.txt),,-G Ninja)

LUA_DIRS = $(wildcard lua spec examples bench)
C_FILES = $(shell find $(wildcard csrc spec examples) -name '*.[ch]')

with_lua54 = LUA_PATH="$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;" LUA_CPATH="$(CURDIR)/build/lua5.4/?.so;;"

.PHONY: build demo test test-c test-lua5.4 test-luajit test-rock bench lint clean
.NOTPARALLEL:

build:
	@sh spec/support/packages.sh '$(BUILD_PACKAGES)'
	$(CMAKE) -B build $(call generator,build) -DDURO_TESTS=OFF
	cmake --build build --parallel

demo: build
	$(with_lua54) sh examples/demo.sh

test: test-c test-lua5.4 test-luajit test-rock

# The C tests, under the address and undefined behaviour sanitizers.
test-c: build
	$(CMAKE) -B build/asan $(call generator,build/asan) -DDURO_SANITIZE=address,undefined -DDURO_LUA= -DDURO_TESTS=ON
	cmake --build build/asan --parallel
	ctest --test-dir build/asan --output-on-failure --parallel 4

test-lua5.4 test-luajit: test-packages build
	busted $(if $(findstring luajit,$@),--run=luajit)

# The rock, built, installed and used for both Luas, without a network.
test-rock: test-packages build
	sh spec/support/install_rock.sh

.PHONY: test-packages
test-packages:
	@sh spec/support/packages.sh '$(TEST_PACKAGES)'

# The table of bench/README.md. QUICK=1: smaller sizes, full only; also ROUNDS=n, NAME=of_the_results, ONLY=a_row_id.
bench: build
	$(with_lua54) lua5.4 bench/run.lua $(ONLY)

lint:
	@sh spec/support/packages.sh '$(LINT_PACKAGES)'
	luacheck -q --no-color $(LUA_DIRS)
	clang-format --dry-run -Werror $(C_FILES)
	@echo "clang-format: $(words $(C_FILES)) files as they should be"

clean:
	rm -rf build build.luarocks
