#include "ops/quote.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lucid/error.hpp"

namespace lucid::ops {
namespace {

using nlohmann::json;

constexpr int kDeepest = 32;            // json::dump() calls itself once a level
constexpr std::size_t kLongest = 1000;  // characters

bool deeper_than(const json& value, int levels) {
  if (!value.is_structured()) return false;
  return levels == 0 || std::any_of(value.begin(), value.end(),
                                    [&](const json& element) { return deeper_than(element, levels - 1); });
}

}  // namespace

std::string quote(const json& value) {
  if (deeper_than(value, kDeepest)) return str("nested more than ", kDeepest, " deep");
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() <= kLongest) return text;
  std::size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
    --end;  // a UTF-8 character stays whole
  text.resize(end);
  return text + "...";
}

}  // namespace lucid::ops
