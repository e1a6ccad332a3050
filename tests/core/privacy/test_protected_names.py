"""Names of columns: the protected ones are all refused, the innocent ones are all let through."""

from collections.abc import Iterator

import pytest

from oferta.privacy.names import attributes_in

PROTECTED = {
    "sex": """
        sex Sex SEX cust_sex custSex CustSexCd sex_code sex_cd sexCode sex_ind sexflag c_sex
        gender Gender GENDER cust_gender customerGender gender_cd gender_code gendercode GENDERCD
        gender_M gender_ohe_1 gender_encoded gender_hash gender_te h_gender gender_ord x_gender_2
        is_male is_female male female IsFemale sex_F sex_1 gndr gndr_cd sexe sexo sesso
        geschlecht Geschlecht kunde_geschlecht kundengeschlecht plec płeć genero_gender anrede
        civilité salutation cust_profile.gender customers.sex profile->>'sex' $.person.sex
        profile[gender] demo/gender dim_customer__gender t1.sex_of_customer mf_flag
        maternity_leave pregnancy_status xingbie xing_bie xb 性别 客户性别 性别代码 性別
        gender性别 客户_性别_编码 是否女性 男 怀孕标志 hombre mujer sexe_client SexeClient пол
    """,
    "marital status": """
        marital marital_status maritalStatus MARITAL_STS mar_stat marstat cust_marital_cd
        is_married married isMarried divorced_flag is_divorced widowed widow_ind spouse_income
        has_spouse civil_status estado_civil état_civil etat_civil situation_familiale
        familienstand Familienstand stan_cywilny zivilstand marital_status_S marital_ohe_3
        profile.maritalStatus hunyin hunyin_zhuangkuang hyzk hunfou 婚姻 婚姻状况 婚否 是否已婚
        婚姻状态编码 离异标识 is_single relationship_status domestic_partner husband_name
        семейное_положение
    """,
    "age": """
        age Age AGE cust_age customerAge age_years age_at_application age_band ageBand age_group
        agegroup AGE_GRP age_bucket_3 custagegrp avg_age applicant_age owner_age holder_age
        vehicle_owner_age account_holder_age age_30_40 age_bin age_encoded age_woe dob DOB
        cust_dob d_o_b date_of_birth dateOfBirth DateOfBirth birth_date birthDate birthdate
        birth_yr birth_year birthyear yob year_of_birth yr_of_birth birthday bday b_day bdate
        birth_month born_on geburtsdatum Geburtsdatum geburtsjahr geb_datum alter kundenalter
        altersgruppe date_naissance date_de_naissance âge fecha_nacimiento fecha_de_nacimiento
        edad data_urodzenia wiek idade leeftijd child_age age_of_child profile.dob person[age]
        age_of_car_owner age_vehicle_holder
        age_of_primary_borrower senior_citizen is_adult pesel nianling nian_ling shengri
        chushengriqi csrq 年龄 客户年龄 年龄段 年龄分组 出生日期 出生年月 生日 客户生日 身份证号
        周岁 年齡 возраст sfzh 车主年龄
    """,
    "race": """
        race Race cust_race race_code raceCd race_ethnicity ethnicity ethnicGroup ETHNIC_GRP
        hispanic is_hispanic latino_flag caucasian african_american race_white race_ohe_2
        is_black racial_group rasse etnia tribe caste minority_flag minority minzu min_zu 民族
        民族代码 种族 族裔 少数民族标志 profile.race applicant.ethnicity
    """,
    "colour": """
        colour color COLOR cust_colour color_cd skin_color skinColour skin_tone complexion
        hautfarbe 肤色 eye_color hair_colour
    """,
    "religion": """
        religion Religion religion_cd cust_religion religious_affiliation faith church_member
        kirchensteuer kirchenmitglied konfession Konfession wyznanie religión religia muslim_flag
        is_christian halal_preference zongjiao 宗教 宗教信仰 信仰 denomination creed
    """,
    "national origin": """
        nationality Nationality nationality_code cust_nationality citizenship citizenship_country
        citizen_flag is_citizen national_origin country_of_birth birth_country birthplace
        place_of_birth country_of_origin immigration_status immigrant native_language
        mother_tongue foreign_born visa_status staatsangehörigkeit staatsangehoerigkeit
        nationalité nacionalidad obywatelstwo lieu_de_naissance geburtsland herkunftsland guoji
        国籍 籍贯 出生地 户籍 jiguan passport_country
    """,
    "public assistance": """
        public_assistance public_assistance_income welfare welfare_recipient food_stamps
        foodstamps snap_benefits medicaid tanf housing_benefit social_benefits
        unemployment_benefit universal_credit sozialhilfe buergergeld wohngeld dibao 低保 低保户
        救助金
    """,
    "exercise of rights": """
        ccpa_request fcra_dispute billing_dispute dsar_count cfpb_complaints_flag
    """,
    "disability": """
        disability disabled is_disabled disability_flag handicap handicapped wheelchair_user
        schwerbehindert behinderung discapacidad 残疾 残疾等级 hearing_impaired canji
    """,
    "sexual orientation": """
        sexual_orientation sexualOrientation lgbt lgbtq_flag is_gay 性取向 同性恋
    """,
    "gender identity": """
        gender_identity genderIdentity transgender pronouns nonbinary 性别认同 跨性别
    """,
    "veteran status": """
        veteran veteran_status is_veteran military_status armed_forces 退伍军人 军人 tuiwu
    """,
    "health": """
        health health_status healthCondition medical_history diagnosis_code chronic_disease
        smoker smoker_flag bmi hiv_status diabetes mental_health pre_existing_illness krankheit
        zdrowie 健康状况 病史 疾病 吸烟 jiankang
    """,
    "union membership": """
        trade_union union_member labor_union gewerkschaft syndicat 工会 工会会员
    """,
    "biometrics": """
        biometric_id fingerprint faceid face_embedding voiceprint iris_scan 指纹 人脸特征 声纹
    """,
    "minors": "is_minor minor_flag underage under_18 未成年 未成年标志 is_child",
    "political opinion": "political_party politicalAffiliation voter_status 政治面貌 党员",
}

INNOCENT = """
    page page_views stage lifecycle_stage mileage annual_mileage usage usage_type message
    messages package package_type average average_balance avg_balance percentage percent coverage
    storage mortgage mortgage_balance garage manager image image_id language lang postage
    shortage passage voltage leverage brokerage salvage wage wages damage advantage village
    city_village car_colour car_color vehicle_colour body_color favourite_colour paint_color
    interior_colour vintage vehicle_age vehicleAge car_age age_of_vehicle age_of_car account_age
    account_age_days acct_age age_oldest_tradeline oldest_account_age loan_age policy_age
    device_age house_age building_age age_of_property credit_age session_age debt_age domain_age
    membership_age_months konto_alter alter_des_fahrzeugs age_rating age_limit racecar_model
    race_track race_day horse_race trace grace_period embrace brace terrace sexton_street essex
    sussex middlesex_county sextant unisex_hash price_minor income_minor value_minor amount_minor
    balance_minor single_premium single_payment sales_channel channel region province postcode
    zip zip_code district state country occupation occupation_code industry income income_band
    salary education household_size children_count kids_count dependents home_ownership owns_home
    household_comp tenure_months customer_since join_date join_year opened_at first_purchase
    risk_tier credit_score utilisation delinquencies segment value_tier rfm_score recency
    frequency monetary newsletter_nl email_opt_in push_opt_in account_disabled
    notifications_disabled device_fingerprint browser_fingerprint account_health battery_health
    service_health credit_union credit_union_member union_pay western_union medical_insurance
    good_faith_deposit job_title currency_denomination lead_generation loan_impairment
    impairment_stage disposable product_line branch_code brand make model trim body_type
    fuel_type engine_size price_band months_to_maturity ltv equity balloon_amount renewal_date
    warranty_end charging_sessions calculator_uses quotes_requested dealer_visits last_seen_days
    engagement gearbox genre commerce merchant discount scrap_value manufacture_year model_year
    year_built registration_date aged_debt alternative alteration dobermann_club racing_stripe
    grocery 车龄 房龄 账龄 驾龄 车辆年龄 账户年龄 车身颜色 颜色偏好 里程 年收入 职业 地区 城市
    子女数 贷款余额 车型 健康险持有 健康保险 客户等级 网龄 风险等级 信用分 渠道
"""


def protected() -> Iterator[tuple[str, str]]:
    for attribute, names in PROTECTED.items():
        for name in names.split():
            yield name, attribute


CASES = list(protected())
LET_THROUGH = INNOCENT.split()


def test_the_corpus_is_large_enough() -> None:
    assert len(CASES) >= 200
    assert len(LET_THROUGH) >= 100
    assert len(set(LET_THROUGH) & {name for name, _ in CASES}) == 0


@pytest.mark.parametrize("attribute", PROTECTED)
def test_every_protected_name_is_refused(attribute: str) -> None:
    names = PROTECTED[attribute].split()
    assert [name for name in names if not attributes_in(name)] == []


@pytest.mark.parametrize("attribute", PROTECTED)
def test_a_protected_name_is_refused_as_what_it_is(attribute: str) -> None:
    names = PROTECTED[attribute].split()
    others = {name: attributes_in(name) for name in names}
    wrong = {
        name: found for name, found in others.items() if attribute not in {one for one, _ in found}
    }
    assert wrong == {}


def test_no_innocent_name_is_refused() -> None:
    refused = {name: found for name in LET_THROUGH if (found := attributes_in(name))}
    assert refused == {}


@pytest.mark.parametrize("pad", ["cust_{}", "{}_code", "profile.{}", "T1.{}_HASH", "{}__ohe_2"])
def test_no_usual_way_of_renaming_hides_a_name(pad: str) -> None:
    """Every name of the corpus, joined, coded or hashed."""
    hidden = [pad.format(name) for name, _ in CASES if not attributes_in(pad.format(name))]
    assert hidden == []


@pytest.mark.parametrize("pad", ["cust_{}", "{}_code", "profile.{}", "{}__ohe_2"])
def test_no_usual_way_of_renaming_makes_a_name_suspect(pad: str) -> None:
    suspect = [pad.format(name) for name in LET_THROUGH if attributes_in(pad.format(name))]
    assert suspect == []
