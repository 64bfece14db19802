#include "ops/option_values.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace lucid::ops {

void Literal::write(nlohmann::json& out) const {
  switch (kind_) {
    case Kind::null: out = nullptr; break;
    case Kind::boolean: out = boolean_; break;
    case Kind::integer: out = integer_; break;
    case Kind::natural: out = natural_; break;
    case Kind::real: out = real_; break;
    case Kind::text: out = std::string(text_, size_); break;
    case Kind::json: out = *json_; break;
    case Kind::integers: out = std::vector<std::int64_t>(integers_, integers_ + size_); break;
    case Kind::list:
      if (size_ > 0 && std::all_of(list_, list_ + size_, [](const Literal& l) { return l.is_member(); })) {
        out = nlohmann::json::object();
        for (const Literal& member : std::span(list_, size_))
          member.list_[1].write(out[std::string(member.list_[0].text_, member.list_[0].size_)]);
      } else {
        out = nlohmann::json::array();
        for (const Literal& element : std::span(list_, size_)) element.write(out.emplace_back());
      }
  }
}

bool Literal::is_member() const { return kind_ == Kind::list && size_ == 2 && list_[0].kind_ == Kind::text; }

OptionValues::OptionValues() = default;
OptionValues::OptionValues(const nlohmann::json& values)
    : values_(std::make_shared<const nlohmann::json>(values)) {}
OptionValues::OptionValues(std::initializer_list<NamedLiteral> values) {
  nlohmann::json object = nlohmann::json::object();
  for (const auto& [name, value] : values) value.write(object[name]);
  values_ = std::make_shared<const nlohmann::json>(std::move(object));
}
OptionValues::OptionValues(const OptionValues&) = default;
OptionValues::OptionValues(OptionValues&&) noexcept = default;
OptionValues& OptionValues::operator=(OptionValues other) noexcept {
  values_ = std::move(other.values_);
  return *this;
}
OptionValues::~OptionValues() = default;

OptionValues& OptionValues::set(const char* name, Literal value) {
  nlohmann::json changed = json();
  value.write(changed[name]);
  values_ = std::make_shared<const nlohmann::json>(std::move(changed));
  return *this;
}

const nlohmann::json& OptionValues::json() const {
  static const nlohmann::json none = nlohmann::json::object();
  return values_ ? *values_ : none;
}

}  // namespace lucid::ops
