#include "examples/segmentation/json_reader.hpp"

#include <algorithm>
#include <set>

#include "examples/segmentation/error.hpp"

namespace segment {
namespace {

using Json = nlohmann::ordered_json;

/// Watches the parser for keys that come twice (of which JSON libraries silently keep one) and for deep
/// nesting.
class Watcher {
 public:
  explicit Watcher(const std::string& name) : name_(name) {}
  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > 32) fail(name_, ": nested deeper than 32 levels; this is not a config");
    if (event == Json::parse_event_t::object_start) keys_.emplace_back();
    if (event == Json::parse_event_t::object_end) keys_.pop_back();
    if (event == Json::parse_event_t::key && !keys_.back().insert(parsed.get<std::string>()).second) {
      fail(name_, ": key ", parsed.dump(), " comes twice in one object; remove one");
    }
    return true;
  }

 private:
  const std::string& name_;
  std::vector<std::set<std::string>> keys_;
};

/// The fewest single-character edits that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string shorten(const std::string& text) { return text.size() <= 60 ? text : text.substr(0, 57) + "..."; }

/// As text on one line, whatever bytes it holds.
std::string show(const Json& value) {
  return shorten(value.dump(-1, ' ', true, Json::error_handler_t::replace));
}

std::string limits(double least, double most) {
  const auto text = [](double value) { return Json(value).dump(); };
  return "from " + text(least) + " to " + text(most);
}

}  // namespace

Json parse_json(const std::string& text, const std::string& name) {
  try {
    return Json::parse(text, Watcher(name), true, true);
  } catch (const Json::parse_error& error) {
    const std::size_t end = std::min(error.byte == 0 ? 0 : error.byte - 1, text.size());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), '\n');
    const std::size_t break_at = end == 0 ? std::string::npos : text.rfind('\n', end - 1);
    const std::size_t column = break_at == std::string::npos ? end + 1 : end - break_at;
    fail(name, ": not valid JSON at line ", line, ", column ", column,
         "; look for a missing comma, quote or bracket");
  } catch (const Json::out_of_range&) {
    fail(name, ": holds a number that is too large for a double; use a smaller one");
  }
}

void JsonValue::reject(const std::string& wanted) const {
  fail(file_, ": ", path_.empty() ? "" : path_ + ": ", "expected ", wanted, ", got ", show(*value_));
}

std::int64_t JsonValue::integer(std::int64_t least, std::int64_t most) const {
  const std::string wanted =
      most == std::numeric_limits<std::int64_t>::max()
          ? (least == 1 ? "a positive integer" : "an integer of at least " + std::to_string(least))
          : "an integer from " + std::to_string(least) + " to " + std::to_string(most);
  if (!value_->is_number_integer()) reject(wanted);
  if (value_->is_number_unsigned() &&
      value_->get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    reject(wanted);
  }
  const auto value = value_->get<std::int64_t>();
  if (value < least || value > most) reject(wanted);
  return value;
}

double JsonValue::number(double least, double most) const {
  if (!value_->is_number()) reject("a number " + limits(least, most));
  const auto value = value_->get<double>();
  if (!(value >= least && value <= most)) reject("a number " + limits(least, most));
  return value;
}

bool JsonValue::boolean() const {
  if (!value_->is_boolean()) reject("true or false");
  return value_->get<bool>();
}

std::string JsonValue::string() const {
  if (!value_->is_string() || value_->get_ref<const std::string&>().empty()) reject("a non-empty string");
  return value_->get<std::string>();
}

std::string JsonValue::one_of(std::initializer_list<std::string_view> choices) const {
  std::string wanted;
  for (const std::string_view choice : choices) {
    if (value_->is_string() && value_->get_ref<const std::string&>() == choice) return std::string(choice);
    wanted += (wanted.empty() ? "\"" : " or \"") + std::string(choice) + "\"";
  }
  reject(wanted);
}

std::vector<JsonValue> JsonValue::array() const {
  if (!value_->is_array()) reject("an array");
  std::vector<JsonValue> items;
  for (std::size_t i = 0; i < value_->size(); ++i) {
    items.emplace_back((*value_)[i], file_, path_ + "[" + std::to_string(i) + "]");
  }
  return items;
}

JsonObject::JsonObject(const JsonValue& value) : value_(value) {
  if (!value.value_->is_object()) value.reject("an object");
}

JsonValue JsonObject::member(const std::string& key, const Json& value) const {
  return {value, value_.file_, value_.path_.empty() ? key : value_.path_ + "." + key};
}

void JsonObject::reject_missing(const std::string& key) const {
  fail(value_.file_, ": ", value_.path_.empty() ? key : value_.path_ + "." + key, ": missing; add it");
}

void JsonObject::finish() const {
  for (const auto& [key, value] : value_.value_->items()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    std::string list, nearest;
    std::size_t best = 4;
    for (const std::string& known : known_) {
      list += (list.empty() ? "" : ", ") + known;
      // A slip of the pen changes few letters, and not most of a short word.
      const std::size_t distance = key.size() < 64 ? edit_distance(key, known) : best;
      if (distance < best && distance * 2 <= known.size()) best = distance, nearest = known;
    }
    const std::string shown = show(Json(key));
    const std::string name = shown.substr(1, shown.size() - 2);
    fail(value_.file_, ": ", value_.path_.empty() ? name : value_.path_ + "." + name, ": unknown key",
         nearest.empty() ? "" : ", did you mean " + nearest + "?", " (known: ", list, ")");
  }
}

}  // namespace segment
