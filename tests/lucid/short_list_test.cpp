#include "lucid/short_list.hpp"

#include <doctest/doctest.h>

#include <memory>

using lucid::detail::ShortList;

TEST_CASE("a short list keeps its elements when it grows beyond itself") {
  ShortList<std::unique_ptr<int>, 2> list;
  CHECK(list.empty());
  for (int i = 0; i < 1000; ++i) {
    list.emplace_back(std::make_unique<int>(i));
    REQUIRE(list.size() == static_cast<std::size_t>(i + 1));
  }
  int expected = 0;
  for (const auto& element : list) CHECK(*element == expected++);
  CHECK(expected == 1000);
  list.pop_back();
  CHECK(*list.back() == 998);
}

TEST_CASE("a short list destroys each element once") {
  const auto counted = std::make_shared<int>(0);
  {
    ShortList<std::shared_ptr<int>, 2> own, larger, emptied;
    own.emplace_back(counted);
    larger.reserve(5);
    for (int i = 0; i < 7; ++i) larger.emplace_back(counted);
    for (int i = 0; i < 3; ++i) emptied.emplace_back(counted);
    CHECK(counted.use_count() == 12);
    emptied.clear();
    CHECK(counted.use_count() == 9);
    CHECK(emptied.empty());
  }
  CHECK(counted.use_count() == 1);
}
