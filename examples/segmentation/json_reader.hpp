#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace segment {

/// Parses strictly: raises InputError with line and column for bad JSON, and for a key that comes twice.
nlohmann::ordered_json parse_json(const std::string& text, const std::string& name);

/// A JSON value that knows its path, so that errors can name it: `brain.json: net.channels[2]: expected ...`.
class JsonValue {
 public:
  JsonValue(const nlohmann::ordered_json& value, std::string file, std::string path)
      : value_(&value), file_(std::move(file)), path_(std::move(path)) {}

  std::int64_t integer(std::int64_t least,
                       std::int64_t most = std::numeric_limits<std::int64_t>::max()) const;
  double number(double least, double most) const;
  bool boolean() const;
  std::string string() const;
  std::string one_of(std::initializer_list<std::string_view> choices) const;
  std::vector<JsonValue> array() const;
  bool is_string() const { return value_->is_string(); }

  /// Raises InputError "expected WANTED, got VALUE".
  [[noreturn]] void reject(const std::string& wanted) const;

 private:
  friend class JsonObject;
  const nlohmann::ordered_json* value_;
  std::string file_, path_;
};

/// An object of which every key must be asked for before `finish`.
class JsonObject {
 public:
  explicit JsonObject(const JsonValue& value);

  /// Calls `read(JsonValue)` if the key is there.
  template <class Read>
  void optional(const std::string& key, Read&& read) {
    known_.push_back(key);
    if (const auto at = value_.value_->find(key); at != value_.value_->end()) read(member(key, *at));
  }
  template <class Read>
  void required(const std::string& key, Read&& read) {
    known_.push_back(key);
    const auto at = value_.value_->find(key);
    if (at == value_.value_->end()) reject_missing(key);
    read(member(key, *at));
  }
  /// Raises InputError at the first key nobody asked for, with the known ones and the nearest of them.
  void finish() const;

 private:
  JsonValue member(const std::string& key, const nlohmann::ordered_json& value) const;
  [[noreturn]] void reject_missing(const std::string& key) const;

  JsonValue value_;
  std::vector<std::string> known_;
};

}  // namespace segment
